"""Who may do what: the access control lists."""

import sqlite3

TABLES: tuple[str, ...] = ()


class Rules:
    """Who may do what: the access control lists."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
