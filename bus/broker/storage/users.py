"""Who may log in by SCRAM, and what proves it: never a password."""

import sqlite3
from collections.abc import Iterable, Mapping

from bus.broker.security.credentials import Credential, Mechanism
from bus.broker.security.users import Key

TABLES: tuple[str, ...] = (
    """create table users (
        name text, mechanism integer, iterations integer not null, salt blob not null,
        stored_key blob not null, server_key blob not null, primary key (name, mechanism)
    ) without rowid""",
    "insert into meta values ('login_secret', randomblob(32))",
)


class Users:
    """Who may log in by SCRAM, and what proves it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> dict[Key, Credential]:
        """Return all credentials."""
        rows = self._db.execute(
            "select name, mechanism, iterations, salt, stored_key, server_key from users"
        )
        return {
            (name, Mechanism(kind)): Credential(Mechanism(kind), iterations, salt, stored, server)
            for name, kind, iterations, salt, stored, server in rows
        }

    def secret(self) -> bytes:
        """Return what salts of strangers are derived from."""
        found = self._db.execute("select value from meta where name = 'login_secret'").fetchone()
        return bytes(found[0])

    def write(self, upserted: Mapping[Key, Credential], deleted: Iterable[Key]) -> None:
        """Store and delete credentials."""
        for name, mechanism in deleted:
            self._db.execute(
                "delete from users where name = ? and mechanism = ?", (name, mechanism)
            )
        for (name, mechanism), one in upserted.items():
            self._db.execute(
                "insert or replace into users values (?, ?, ?, ?, ?, ?)",
                (name, mechanism, one.iterations, one.salt, one.stored_key, one.server_key),
            )
