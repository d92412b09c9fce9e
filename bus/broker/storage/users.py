"""Who may log in by SCRAM, and what proves it."""

import sqlite3

TABLES: tuple[str, ...] = ()


class Users:
    """Who may log in by SCRAM, and what proves it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
