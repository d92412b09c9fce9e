"""All of the broker's SQL: one SQLite database, written by one connection, read by another.

Each table stands in a module of its own, with what is done with it.
"""
