"""Grants: which member gets which part of whose data, for what, and on which basis.

What a grant says is `terms`; `granting` makes grants of signed statements, `matching` says what
flows under them, `book` holds both together. `snapshot` alone does I/O.
"""
