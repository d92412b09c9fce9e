"""Grants with all that they say and their steps, in a file that pages look things up in.

It is made anew from the journal whenever a node starts: a hundred thousand grants would not fit
into memory with their texts, and nothing here could be lost.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from bus.trust.grants.grant import Grant, State, grant_id, milliseconds
from bus.trust.grants.granting import Step
from bus.trust.grants.parties import Verified
from bus.trust.grants.terms import ARS_LEVELS, Terms

_TABLES = """
create table one (
    n integer primary key, name text not null unique, state integer not null,
    owner text not null, ars text not null, recipient text not null, topic text not null,
    since integer not null, until integer not null,
    asked integer not null, asked_ms integer not null, decided_ms integer, ended_ms integer
) strict;
create index one_owner on one (owner, n);
create index one_recipient on one (recipient, n);
create index one_topic on one (topic, n);
create index one_state on one (state, n);
create index one_ars on one (ars, n) where ars <> '';
create table said (n integer primary key, terms text not null) strict;
create table step (
    n integer not null, entry integer not null, kind text not null, at_ms integer not null,
    member text not null, keys text not null, why text not null
) strict;
create index step_of on step (n, entry);
"""
_ASKED = "insert into one values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)"
_SAID = "insert into said values (?, ?)"
_DECIDED = "update one set state = ?, decided_ms = ? where n = ?"
_ENDED = "update one set state = ?, ended_ms = ? where n = ?"
_STEP = "insert into step values (?, ?, ?, ?, ?, ?, ?)"
_GRANT = "name, state, terms, asked, asked_ms, decided_ms, ended_ms from one natural join said"

PHASES = (
    "requested", "pending", "live", "expired", "refused", "withdrawn", "revoked", "ended",
)  # fmt: skip
"""What a grant may be, as `Grant.phase` says it."""

_OF_PHASE = {
    "pending": f"state = {State.APPROVED} and since > :now",
    "live": f"state = {State.APPROVED} and since <= :now and until > :now",
    "expired": f"state = {State.APPROVED} and until <= :now",
    **{one.word: f"state = {one}" for one in State if one is not State.APPROVED},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which grants somebody wants to see; what is None or empty narrows nothing.

    Args:
        owners: whose data: one of these members, or all under one of the official codes in `codes`.
        codes: official codes that are looked for among those that authorities decide for.
        recipients: who gets it: one of these members.
        topic: text in the contract's topic.
        phase: one of `PHASES`.
    """

    owners: Sequence[str] = ()
    codes: Sequence[str] = ()
    recipients: Sequence[str] = ()
    topic: str = ""
    phase: str = ""


class Taken(NamedTuple):
    """A step of a grant.

    Args:
        entry: the number of the journal's entry.
        kind: of the statement.
        at_ms: when the engine took it, in milliseconds since 1970.
        member: who took it.
        keys: the names of the keys that signed.
        why: what was said beside it.
    """

    entry: int
    kind: str
    at_ms: int
    member: str
    keys: tuple[str, ...]
    why: str


class Named(NamedTuple):
    """A grant, and the digest of what asked for it, in hexadecimal: how statements name it."""

    name: str
    grant: Grant


class Archive:
    """The file; any thread may use it.

    Args:
        file: where it lies; one that is there is replaced.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, Lock()
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Make the file anew."""
        self.close()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for name in (self._file, *(Path(f"{self._file}{end}") for end in ("-journal", "-wal"))):
            name.unlink(missing_ok=True)
        self._database = sqlite3.connect(self._file, check_same_thread=False)
        # What a crash leaves of it is thrown away in any case.
        self._database.execute("pragma journal_mode = off")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Close the file, and take it away: the next start makes it anew."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
                self._file.unlink(missing_ok=True)

    def take(self, statement: Verified, step: Step) -> None:
        """Take a step of a grant; to be called for each, in the journal's order."""
        with self._lock:
            database, number = self._open, step.grant
            if step.terms is not None:
                terms = json.dumps(step.terms.to_json(), ensure_ascii=False)
                database.execute(_ASKED, _asked(number, statement, step.terms))
                database.execute(_SAID, (number, terms))
            elif step.state in (State.APPROVED, State.REFUSED, State.WITHDRAWN):
                database.execute(_DECIDED, (step.state, statement.at_ms, number))
            elif step.state is not State.REQUESTED:
                database.execute(_ENDED, (step.state, statement.at_ms, number))
            why = "" if step.terms is not None else str(statement.body.get("why", ""))
            keys = ",".join(sorted(statement.keys))
            what = statement.kind, statement.at_ms, statement.issuer
            database.execute(_STEP, (number, statement.number, *what, keys, why))

    def commit(self) -> None:
        """Let others read what was taken."""
        with self._lock:
            self._open.commit()

    def count(self, wanted: Wanted, now_ms: int) -> int:
        """Return how many grants somebody wants to see."""
        where, values = _narrowed(wanted, now_ms)
        with self._lock:
            (number,) = self._open.execute(f"select count(*) from one{where}", values).fetchone()  # noqa: S608
        return int(number)

    def grants(self, wanted: Wanted, now_ms: int, *, first: int, most: int) -> list[Named]:
        """Return a part of the grants that somebody wants to see, the newest first.

        Args:
            wanted: which.
            now_ms: now, in milliseconds since 1970.
            first: how many newer ones are left out.
            most: how many at the most.
        """
        where, values = _narrowed(wanted, now_ms)
        query = (
            f"select {_GRANT} where n in (select n from one{where} "  # noqa: S608
            "order by n desc limit :most offset :first) order by n desc"
        )
        with self._lock:
            rows = self._open.execute(query, {**values, "most": most, "first": first}).fetchall()
        return [_grant(row) for row in rows]

    def named(self, name: str) -> Named | None:
        """Return the grant of a name: its id, or the digest of what asked for it."""
        if not 2 * 16 <= len(name) <= 2 * 32:
            return None
        query = f"select {_GRANT} where name >= ? and name < ? limit 1"
        with self._lock:
            row = self._open.execute(query, (name, f"{name}g")).fetchone()
        return None if row is None else _grant(row)

    def steps(self, name: str) -> list[Taken]:
        """Return the steps of the grant that a digest asked for, oldest first."""
        query = (
            "select entry, kind, at_ms, member, keys, why from step "
            "where n = (select n from one where name = ?) order by entry"
        )
        with self._lock:
            rows = self._open.execute(query, (name,)).fetchall()
        return [
            Taken(entry, kind, at_ms, member, tuple(filter(None, keys.split(","))), why)
            for entry, kind, at_ms, member, keys, why in rows
        ]

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("it is not open")
        return self._database


def _asked(number: int, statement: Verified, terms: Terms) -> tuple[Any, ...]:
    owner = terms.owner
    since, until = milliseconds(terms)
    return (
        number, statement.digest.hex(), State.REQUESTED, owner.member, owner.ars, terms.recipient,
        terms.topic, since, until, statement.number, statement.at_ms,
    )  # fmt: skip


def _grant(row: Sequence[Any]) -> Named:
    name, state, terms, asked, asked_ms, decided_ms, ended_ms = row
    return Named(
        name,
        Grant(
            id=grant_id(bytes.fromhex(name)),
            terms=Terms.from_json(json.loads(terms)),
            state=State(state),
            asked=asked,
            asked_ms=asked_ms,
            decided_ms=decided_ms,
            ended_ms=ended_ms,
        ),
    )


def _narrowed(wanted: Wanted, now_ms: int) -> tuple[str, dict[str, Any]]:
    """Return the condition of a query, and its values."""
    parts, values = list[str](), dict[str, Any](now=now_ms)
    if wanted.owners:
        parts.append(
            "(owner in (select value from json_each(:owners)) or "
            "(ars <> '' and ars in (select value from json_each(:above))))"
        )
        above = {code[:digits] for code in wanted.codes for digits in ARS_LEVELS}
        values |= {"owners": json.dumps([*wanted.owners]), "above": json.dumps(sorted(above))}
    if wanted.recipients:
        parts.append("recipient in (select value from json_each(:recipients))")
        values["recipients"] = json.dumps([*wanted.recipients])
    if wanted.topic:
        parts.append("instr(topic, :topic) > 0")
        values["topic"] = wanted.topic
    if wanted.phase:
        parts.append(f"({_OF_PHASE[wanted.phase]})")
    return (f" where {' and '.join(parts)}" if parts else ""), values
