"""The transactions' states, as their coordinator keeps them."""

import sqlite3

TABLES: tuple[str, ...] = ()


class Transactions:
    """The transactions' states, as their coordinator keeps them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
