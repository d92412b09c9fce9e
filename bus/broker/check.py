"""`stadtbus broker check`: whether a store holds what was written, all of it. Changes nothing.

Every row's two checksums, every batch's CRC-32C and header, every record's place, offsets without a
hole, references between tables, and what SQLite says of its own pages. Memory is bounded by a few
rows, however large the store is.

Beside a running broker the rows are read in short steps, each of one moment, so that its
write-ahead log stays small. Only SQLite's own check, one statement that would hold it for as long
as it takes, is left out then.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bus.broker.directory import known_version, look, undisturbed
from bus.broker.soundness import Judged, judge
from bus.broker.stage import OFFSET_BITS
from bus.broker.storage.examiner import Examiner, Place
from bus.errors import StorageUnusable

MOST_NAMED = 1000
"""Damages that are named one by one; the others are counted."""

UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading damaged pages ends in; SQLite believes that text is text."""


class Damage(NamedTuple):
    """One thing that is wrong.

    Attributes:
        topic: empty where it is not in one partition.
        offset: of the batch, or where something is missing; -1 where it is in no partition.
        row: the row's key in the table `log`; -1 where there is none.
    """

    topic: str
    partition: int
    offset: int
    row: int
    what: str


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found.

    Attributes:
        structure: whether SQLite's own check was run; not beside a running broker.
        damage: the first thousand.
        damages: all of them.
    """

    version: int
    size_bytes: int
    structure: bool
    partitions: int = 0
    rows: int = 0
    batches: int = 0
    records: int = 0
    damages: int = 0
    seconds: float = 0.0
    damage: list[Damage] = field(default_factory=list)

    def add(self, found: Damage) -> None:
        """Take note of a damage."""
        self.damages += 1
        if len(self.damage) < MOST_NAMED:
            self.damage.append(found)


Progress = Callable[[str, int, int], None]
"""Told what is looked at, how many bytes of how many were."""


def nothing(_: str, __: int, ___: int) -> None:
    """Tell nobody."""


def check(path: Path, *, max_unpacked: int | None, progress: Progress = nothing) -> Report:
    """Look at a whole store, or at a backup.

    Args:
        path: the database.
        max_unpacked: bytes that one batch's records may unpack to; None does not look at records,
            which takes most of the time.
        progress: told now and then how far it is.

    Raises:
        NotFound: there is no such file.
        StorageUnusable: it is no database of the broker, of a newer version, or cannot be opened.
    """
    started = time.perf_counter()
    look(path)
    with undisturbed(path) as (alone, still):
        try:
            examiner = Examiner(path, still=still)
        except sqlite3.Error as error:
            raise _unreadable(path, error) from error
        try:
            report = _Check(path, examiner, max_unpacked, progress).run(structure=alone)
        finally:
            examiner.close()
    report.seconds = time.perf_counter() - started
    return report


def _unreadable(path: Path, error: Exception) -> StorageUnusable:
    return StorageUnusable(
        f"the database cannot be read: {error}", where=str(path), remedy="restore it from a copy"
    )


class _Check:
    def __init__(
        self, path: Path, examiner: Examiner, max_unpacked: int | None, progress: Progress
    ) -> None:
        self._path, self._examiner, self._max_unpacked = path, examiner, max_unpacked
        self._progress = progress
        self._seen = 0

    def run(self, *, structure: bool) -> Report:
        examiner = self._examiner
        try:
            version, size = examiner.version(), examiner.size()
        except (*UNREADABLE, sqlite3.Error) as error:
            raise _unreadable(self._path, error) from error
        known_version(version, self._path)
        self._report = report = Report(version, size, structure)
        self._collect(examiner.references())
        try:
            places = examiner.places()
        except UNREADABLE as error:
            report.add(Damage("", -1, -1, -1, f"the partitions cannot be read: {error}"))
            places = []
        for place in places:
            self._partition(place)
        if structure:
            self._collect(examiner.structure(lambda: self._progress("structure", self._seen, size)))
        return report

    def _collect(self, found: Iterator[str]) -> None:
        try:
            for what in found:
                self._report.add(Damage("", -1, -1, -1, what))
        except UNREADABLE as error:
            self._report.add(Damage("", -1, -1, -1, f"a table cannot be read: {error}"))

    def _partition(self, place: Place) -> None:
        """Go through the rows of a partition in order."""
        report = self._report
        report.partitions += 1
        walk = _Walk(place, report, self._max_unpacked)
        try:
            while True:
                chunk = self._examiner.chunk(place.number, walk.wanted, walk.last)
                if chunk.start is None or not chunk.rows:
                    break
                walk.go(chunk.start, chunk.rows)
                self._seen += sum(len(row[-1] or b"") for row in chunk.rows)
                self._progress(place.topic, self._seen, report.size_bytes)
        except UNREADABLE as error:
            report.add(
                Damage(place.topic, place.ordinal, walk.wanted, -1, f"it cannot be read: {error}")
            )


class _Walk:
    """The way through one partition.

    Attributes:
        wanted: the offset to go on with.
        last: the key of the last row that was seen.
    """

    def __init__(self, place: Place, report: Report, max_unpacked: int | None) -> None:
        self._place, self._report, self._max_unpacked = place, report, max_unpacked
        self.wanted, self.last = place.start, -1
        self._sure = True  # whether the offset after the last row is known

    def go(self, start: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Judge rows, those of one moment."""
        if start > self.wanted:
            self.wanted = start  # what lies before was deleted meanwhile
        for index, row in enumerate(rows):
            base = row[0] & ((1 << OFFSET_BITS) - 1)
            judged = judge(row, max_unpacked=self._max_unpacked)
            # What lies before the partition's start is no part of it, and soon deleted.
            if judged.next is None or judged.next > start:
                self._row(row[0], base, judged, follows=index > 0)
            self.last = row[0]

    def _row(self, position: int, base: int, judged: Judged, *, follows: bool) -> None:
        report = self._report
        report.rows += 1
        report.batches += judged.batches
        report.records += judged.records
        if self._sure and base > self.wanted:
            self._add(self.wanted, position, f"offsets {self.wanted} to {base - 1} are not there")
        if self._sure and base < self.wanted and follows:
            self._add(base, position, f"the row should not begin before {self.wanted}")
        for problem in judged.problems:
            self._add(max(problem.offset, base), position, problem.what)
        self._sure = judged.next is not None
        self.wanted = max(judged.next or 0, base + 1)

    def _add(self, offset: int, row: int, what: str) -> None:
        self._report.add(Damage(self._place.topic, self._place.ordinal, offset, row, what))
