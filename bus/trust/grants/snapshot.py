"""The grants in a file, so that a start need not read every statement again.

It is a cache, never the truth: it belongs to one journal and one place in it, each of its rows
carries a checksum, and one that does not hold is thrown away and made anew from the journal.
"""

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bus import files
from bus.trust.grants.book import Book
from bus.trust.grants.grant import Grant, State
from bus.trust.grants.granting import Step
from bus.trust.grants.holdings import Core, core_of
from bus.trust.grants.parties import Standing, Verified
from bus.trust.grants.terms import Owner, Terms
from bus.trust.grants.vocabulary import PURPOSES, STATUTES

log = logging.getLogger(__name__)

_VERSION = 1
_SUM = 2**62
_TABLES = """
create table head (
    format text not null, chain text not null, number integer not null, digest text not null,
    rows integer not null, total integer not null
) strict;
create table one (
    n integer primary key, id blob not null unique, state integer not null,
    owner text not null, ars text not null, recipient text not null, topic text not null,
    fields text not null, rows text not null, purpose text not null, since integer not null,
    until integer not null, terms text not null, asked integer not null, asked_ms integer not null,
    decided_ms integer, ended_ms integer, signed text not null, sum integer not null
) strict;
create index one_owner on one (owner);
create index one_recipient on one (recipient);
create index one_topic on one (topic);
"""
_PUT = "insert or replace into one values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = "update head set rows = rows + ?, total = (total + ?) % ?"
_BY_ID = "select * from one where id = ?"
_BY_RECIPIENT = "select * from one where recipient = ? order by n"
_BY_TOPIC = "select * from one where topic = ? order by n"
_BY_OWNER = """
select * from one where owner = ? or (ars <> '' and substr(?, 1, length(ars)) = ars) order by n
"""


class _Row(NamedTuple):
    n: int
    id: bytes
    state: int
    owner: str
    ars: str
    recipient: str
    topic: str
    fields: str
    rows: str
    purpose: str
    since: int
    until: int
    terms: str
    asked: int
    asked_ms: int
    decided_ms: int | None
    ended_ms: int | None
    signed: str

    @property
    def sum(self) -> int:
        """A checksum over all of it, as a number."""
        digest = hashlib.blake2b(repr(tuple(self)).encode(errors="replace"), digest_size=8)
        return int.from_bytes(digest.digest(), "big") % _SUM


class _Unusable(NamedTuple):
    """Why a snapshot cannot be used."""

    what: str


class Snapshot:
    """The file of one node; used by one thread.

    Args:
        file: where it lies; its folder is there.
        chain: the id of the journal.
    """

    def __init__(self, file: Path, chain: str) -> None:
        self._file, self._chain = file, chain
        self._database = self._open()

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        self._database.close()

    def load(self, digest_at: Callable[[int], str | None], standing: Standing) -> tuple[Book, int]:
        """Return the grants, and the number of the entry up to which they were read.

        A file that is damaged, of another journal, of another format or vocabulary, or of a journal
        that went another way since, is thrown away, and the number is 0.

        Args:
            digest_at: the digest of the journal's entry of a number; None if there is none.
            standing: who is who, for the book.
        """
        try:
            loaded = self._load(digest_at, standing)
        except sqlite3.DatabaseError as error:
            loaded = _Unusable(f"it is damaged: {error}")
        if not isinstance(loaded, _Unusable):
            return loaded
        log.warning(
            "the snapshot of grants %s is thrown away and made anew from the journal: %s",
            self._file,
            loaded.what,
        )
        self._database.close()
        self._file.unlink()
        self._database = self._open()
        return Book(standing), 0

    def note(self, book: Book, step: Step, statement: Verified) -> None:
        """Keep what a statement did; `commit` makes it last."""
        if not self._database.in_transaction:
            self._database.execute("begin")
        signed = json.dumps(sorted(book.granting.signed(step.grant)))
        if step.terms is not None:
            grant = book.holdings.facts(step.grant).id
            row = _row_of(step.grant, grant, step.terms, statement)
            self._count(1, row.sum)
        else:
            old = self._row(step.grant)
            row = old._replace(state=int(step.state), signed=signed)
            if step.state in (State.REVOKED, State.ENDED):
                row = row._replace(ended_ms=statement.at_ms)
            elif step.state is not State.REQUESTED:
                row = row._replace(decided_ms=statement.at_ms)
            self._count(0, row.sum - old.sum)
        self._database.execute(_PUT, (*row, row.sum))

    def commit(self, number: int, digest: str) -> None:
        """Make what was noted last, up to an entry of the journal.

        Args:
            number, digest: of the last entry that was read.
        """
        self._database.execute("update head set number = ?, digest = ?", (number, digest))
        self._database.commit()

    def grant(self, grant: bytes) -> Grant | None:
        """Return a grant by its id; None if it is not there."""
        return next(self._grants(_BY_ID, grant), None)

    def of_owner(self, member: str, ars: str = "") -> Iterator[Grant]:
        """Yield the grants on a member's data, in the order in which they were asked for.

        Args:
            member: whose data, or the authority that decides.
            ars: its official code: what authorities decided for all under a beginning of it is
                among them.
        """
        return self._grants(_BY_OWNER, member, ars)

    def of_recipient(self, member: str) -> Iterator[Grant]:
        """Yield the grants that a member asked for, in order."""
        return self._grants(_BY_RECIPIENT, member)

    def on_topic(self, topic: str) -> Iterator[Grant]:
        """Yield the grants on a contract, in order."""
        return self._grants(_BY_TOPIC, topic)

    def _open(self) -> sqlite3.Connection:
        """Return the database; a new file is empty, and nobody else may read it."""
        if not self._file.exists():
            files.write(self._file, b"")
        return sqlite3.connect(self._file, isolation_level=None)

    def _load(
        self, digest_at: Callable[[int], str | None], standing: Standing
    ) -> tuple[Book, int] | _Unusable:
        if not self._file.stat().st_size:
            self._make()
        head = self._database.execute("select * from head").fetchall()
        if len(head) != 1:
            return _Unusable("it is damaged: it has no head")
        format_, chain, number, digest, rows, total = head[0]
        if format_ != _format():
            return _Unusable("it is of another format or vocabulary")
        if chain != self._chain:
            return _Unusable(f"it belongs to the journal {chain}, this one is {self._chain}")
        if number and digest_at(number) != digest:
            return _Unusable(f"entry {number} of the journal is not the one that it was made at")
        # Rows have their own checksums; this holds the indexes against them, too.
        (sound,) = self._database.execute("pragma integrity_check(1)").fetchone()
        if sound != "ok":
            return _Unusable(f"it is damaged: {sound}")
        book = Book(standing)
        for *values, kept in self._database.execute("select * from one order by n"):
            row = _Row._make(values)
            if row.n != len(book) or row.sum != kept:
                return _Unusable(f"it is damaged: grant {len(book)} is not as it was written")
            book.restore(row.id, _core_of(row), State(row.state), json.loads(row.signed))
            rows, total = rows - 1, total - kept
        if rows or total % _SUM:
            return _Unusable("it is damaged: not all grants are there")
        return book, number

    def _make(self) -> None:
        self._database.executescript(f"begin; {_TABLES}")
        self._database.execute(
            "insert into head values (?, ?, 0, '', 0, 0)", (_format(), self._chain)
        )
        self._database.commit()

    def _count(self, rows: int, total: int) -> None:
        """Keep the number of rows and the sum of their checksums, so that a lost one shows."""
        self._database.execute(_COUNT, (rows, total % _SUM, _SUM))

    def _row(self, number: int) -> _Row:
        found = self._database.execute("select * from one where n = ?", (number,)).fetchone()
        return _Row._make(found[:-1])

    def _grants(self, query: str, *values: object) -> Iterator[Grant]:
        for found in self._database.execute(query, values):
            row = _Row._make(found[:-1])
            yield Grant(
                id=row.id,
                terms=Terms.from_json(json.loads(row.terms)),
                state=State(row.state),
                asked=row.asked,
                asked_ms=row.asked_ms,
                decided_ms=row.decided_ms,
                ended_ms=row.ended_ms,
            )


def _format() -> str:
    """Name all that decides which statements have which effect, beside the journal."""
    words = json.dumps([sorted(PURPOSES), sorted(STATUTES)])
    return f"{_VERSION}-{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def _row_of(number: int, grant: bytes, terms: Terms, statement: Verified) -> _Row:
    core = core_of(terms)
    return _Row(
        n=number,
        id=grant,
        state=int(State.REQUESTED),
        owner=core.owner.member,
        ars=core.owner.ars,
        recipient=core.recipient,
        topic=core.topic,
        fields=json.dumps(core.fields),
        rows=core.rows,
        purpose=core.purpose,
        since=core.since,
        until=core.until,
        terms=json.dumps(terms.to_json(), ensure_ascii=False),
        asked=statement.number,
        asked_ms=statement.at_ms,
        decided_ms=None,
        ended_ms=None,
        signed="[]",
    )


def _core_of(row: _Row) -> Core:
    return Core(
        Owner(row.owner, row.ars),
        row.recipient,
        row.topic,
        tuple(json.loads(row.fields)),
        row.rows,
        row.purpose,
        row.since,
        row.until,
    )
