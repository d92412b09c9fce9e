"""Local users of the portal, for towns that have no provider of identities."""

import re
from typing import NamedTuple

from bus.errors import Conflict, InvalidSettings, NotFound
from bus.event import member_of
from bus.portal.security.database import Database
from bus.portal.viewer import Role

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
SHORTEST, LONGEST = 12, 512
"""Characters of a password; the longest keeps a flood from costing more than it should."""

ROLES = {role.name.lower(): role for role in Role if role is not Role.NOBODY}


class User(NamedTuple):
    """A local user.

    Args:
        name: who it is.
        role: what they may do.
        hash: of the password, as Argon2 writes it.
    """

    name: str
    role: Role
    hash: str


class Users:
    """The users that the database knows. A change of one ends its sessions.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[User]:
        """Return all users by name."""
        with self._database.transaction() as connection:
            rows = connection.execute("select name, role, hash from user order by name").fetchall()
        return [User(name, Role(role), hashed) for name, role, hashed in rows]

    def find(self, name: str) -> User | None:
        """Return a user, if there is such a one."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "select name, role, hash from user where name = ?", (name,)
            ).fetchone()
        return None if row is None else User(row[0], Role(row[1]), row[2])

    def add(self, user: User) -> None:
        """Make a user.

        Raises:
            InvalidSettings: the name cannot be one.
            Conflict: there is such a user.
        """
        require_name(user.name)
        with self._database.transaction() as connection:
            made = connection.execute("insert or ignore into user values (?, ?, ?)", user)
        if not made.rowcount:
            raise Conflict(
                "there is such a user of the portal",
                where=user.name,
                remedy="`stadtbus portal user password` gives it another password",
            )

    def remove(self, name: str) -> None:
        """Remove a user.

        Raises:
            NotFound: there is none.
        """
        self._change(name, "delete from user where name = ?", ())
        with self._database.transaction() as connection:
            connection.execute("delete from officer where name = ?", (name,))

    def set_hash(self, name: str, hashed: str) -> None:
        """Give a user another password.

        Raises:
            NotFound: there is no such user.
        """
        self._change(name, "update user set hash = ? where name = ?", (hashed,))

    def set_role(self, name: str, role: Role) -> None:
        """Give a user another role.

        Raises:
            NotFound: there is no such user.
        """
        self._change(name, "update user set role = ? where name = ?", (int(role),))

    def officers(self) -> dict[str, str]:
        """Return whose data protection officer each user is who is one: the member, by name."""
        with self._database.transaction() as connection:
            return dict(connection.execute("select name, member from officer"))

    def set_officer(self, name: str, member: str | None) -> None:
        """Make a user the data protection officer of a member, or of none any more.

        Raises:
            InvalidSettings: it is no member's id.
            NotFound: there is no such user.
        """
        if member is not None:
            require_member(member)
        self._change(name, "update user set name = name where name = ?", ())
        with self._database.transaction() as connection:
            connection.execute("delete from officer where name = ?", (name,))
            if member is not None:
                connection.execute("insert into officer values (?, ?)", (name, member))

    def rehash(self, before: User, hashed: str) -> None:
        """Keep the same password under a newer hash, unless it was changed meanwhile."""
        with self._database.transaction() as connection:
            connection.execute(
                "update user set hash = ? where name = ? and hash = ?",
                (hashed, before.name, before.hash),
            )

    def _change(self, name: str, statement: str, values: tuple[object, ...]) -> None:
        with self._database.transaction() as connection:
            changed = connection.execute(statement, (*values, name)).rowcount
            connection.execute("delete from session where issuer = '' and subject = ?", (name,))
        if not changed:
            raise NotFound(
                "there is no such user of the portal",
                where=name,
                remedy="`stadtbus portal user ls` has all of them",
            )


def require_name(name: str) -> None:
    """Refuse a name that a user of the portal cannot have.

    Raises:
        InvalidSettings: it is one.
    """
    if not _NAME.fullmatch(name):
        raise InvalidSettings(
            "a user's name has letters without accents, digits and . _ @ + - and begins with a "
            "letter or digit",
            where=name or '""',
            remedy="name it like anna.beispiel",
        )


def require_member(member: str) -> None:
    """Refuse what is no member's id.

    Raises:
        InvalidSettings: it is none.
    """
    if member_of(f"{member}.system") != member:
        raise InvalidSettings(
            "this is no member's id",
            where=member or '""',
            remedy="write it like de.mun.092720140140; see `stadtbus member ls`",
        )


def require_password(password: str) -> None:
    """Refuse a password that is too short, or too long to be one.

    Raises:
        InvalidSettings: it is.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidSettings(
            f"a password has {SHORTEST} to {LONGEST} characters",
            where="password",
            remedy="choose another, such as some words that nobody would guess",
        )
