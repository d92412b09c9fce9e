"""Whom a source has sealed: nobody is to hear of them, whatever was granted. Pure."""

from collections.abc import Mapping

SEALED = "sealed"
"""The field by which a source says so.

A convention for all restricted contracts: a setting of each could be forgotten.
"""


def is_sealed(data: Mapping[str, object]) -> bool:
    """Whether a source says so; whatever else stands there than no is taken for yes."""
    return data.get(SEALED) not in (None, False)
