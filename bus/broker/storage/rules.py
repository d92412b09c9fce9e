"""Who may do what: the access control lists."""

import sqlite3
from collections.abc import Iterable

from bus.broker.security.rules import Kind, Operation, Pattern, Permission, Rule

TABLES: tuple[str, ...] = (
    """create table rules (
        kind integer, pattern integer, name text, principal text, host text, operation integer,
        permission integer,
        primary key (kind, pattern, name, principal, host, operation, permission)
    ) without rowid""",
)


class Rules:
    """Who may do what: the access control lists."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> list[Rule]:
        """Return all rules."""
        rows = self._db.execute(
            "select kind, pattern, name, principal, host, operation, permission from rules"
        )
        return [
            Rule(
                Kind(kind),
                Pattern(pattern),
                name,
                principal,
                host,
                Operation(operation),
                Permission(permission),
            )
            for kind, pattern, name, principal, host, operation, permission in rows
        ]

    def write(self, made: Iterable[Rule], deleted: Iterable[Rule]) -> None:
        """Store and delete rules; one that is there already, or is not, is fine."""
        self._db.executemany(
            "delete from rules where kind = ? and pattern = ? and name = ? and principal = ? "
            "and host = ? and operation = ? and permission = ?",
            list(deleted),
        )
        self._db.executemany("insert or ignore into rules values (?, ?, ?, ?, ?, ?, ?)", list(made))
