"""Sessions of those who have logged in: on the server, under the hash of what the browser keeps."""

import hashlib
import secrets
from dataclasses import dataclass
from sqlite3 import Connection

from bus.portal.security.database import Database
from bus.portal.viewer import Role

MOST_OF_ONE = 20
"""Sessions of one person; whoever begins another ends the one that was idle the longest."""

TOUCH_SECONDS = 30.0
"""How exactly is known when a session was last used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has shown who they are.

    Args:
        issuer: who says so: the provider's name; empty: the portal itself.
        subject: who it is to the issuer, for ever.
        name: as people read it.
        role: what they may do.
        id_token: what the provider wants to see when they log out; empty where there is none.
        officer_of: the member whose data protection officer it is; empty: of none.
    """

    issuer: str
    subject: str
    name: str
    role: Role
    id_token: str = ""
    officer_of: str = ""


class Sessions:
    """All sessions.

    Args:
        database: where they are kept.
        idle: seconds without a request after which one ends.
        longest: seconds after which one ends in any case.
    """

    def __init__(self, database: Database, *, idle: float, longest: float) -> None:
        self._database, self._idle, self._longest = database, idle, longest

    def begin(self, person: Person, now: float, *, instead_of: str | None = None) -> str:
        """Begin a session; return its secret, 256 random bits that nobody else has seen.

        Args:
            person: who has logged in.
            now: seconds since 1970.
            instead_of: the secret of a session in the same browser, which ends.
        """
        secret = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            self._forget(connection, now)
            if instead_of:
                connection.execute("delete from session where hash = ?", (_hash(instead_of),))
            connection.execute(
                "delete from session where hash in (select hash from session where issuer = ? "
                "and subject = ? order by seen desc limit -1 offset ?)",
                (person.issuer, person.subject, MOST_OF_ONE - 1),
            )
            connection.execute(
                "insert into session values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _hash(secret),
                    person.issuer,
                    person.subject,
                    person.name,
                    int(person.role),
                    person.id_token,
                    now,
                    now,
                ),
            )
        return secret

    def find(self, secret: str, now: float, *, used: bool = True) -> Person | None:
        """Return whose session it is; None: it has ended, or never was.

        A local user is what the database says now, not what it said at the login.

        Args:
            secret: what the browser keeps.
            now: seconds since 1970.
            used: somebody does something; a page that only follows the bus does nothing.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select issuer, subject, session.name, coalesce(user.role, session.role), id_token,"
                " began, seen, issuer = '' and user.name is null, coalesce(officer.member, '') "
                "from session left join user on issuer = '' and user.name = subject "
                "left join officer on officer.name = user.name where session.hash = ?",
                (_hash(secret),),
            ).fetchone()
            if row is None:
                return None
            issuer, subject, name, role, id_token, began, seen, removed, officer_of = row
            if removed or not self._counts(began, seen, now):
                connection.execute("delete from session where hash = ?", (_hash(secret),))
                return None
            if used and now - seen >= TOUCH_SECONDS:
                connection.execute(
                    "update session set seen = ? where hash = ?", (now, _hash(secret))
                )
        return Person(
            issuer=issuer,
            subject=subject,
            name=name,
            role=Role(role),
            id_token=id_token,
            officer_of=officer_of,
        )

    def end(self, person: Person) -> int:
        """End all sessions of somebody, in all their browsers; return how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(
                "delete from session where issuer = ? and subject = ?",
                (person.issuer, person.subject),
            ).rowcount

    def _counts(self, began: float, seen: float, now: float) -> bool:
        return now - began < self._longest and now - seen < self._idle

    def _forget(self, connection: Connection, now: float) -> None:
        connection.execute(
            "delete from session where began <= ? or seen <= ?",
            (now - self._longest, now - self._idle),
        )


def _hash(secret: str) -> bytes:
    """Return what the database knows a session by: whoever reads it cannot take one over."""
    return hashlib.sha256(secret.encode()).digest()
