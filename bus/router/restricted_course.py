"""The way of a restricted contract in one partition: its records, and feeds in step with grants.

On a contract that keeps the last state a grant begins with the present. Its feed gets what there is
of each key between two marks, while new events go on: what a new event has replaced is left out, so
there is neither a gap nor a step back. What was sent under a grant that ended is withdrawn first.
"""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bus.contracts import LAST_STATE, Contract
from bus.disclosures import records
from bus.errors import PositionLost
from bus.event import Event
from bus.kafka import Fetched, Place
from bus.pause import Pause
from bus.router.course import OutOfDate, Portion
from bus.router.journal import View
from bus.router.memory import BEGUN, DONE, KNOWN, Memory, memory_topic
from bus.router.restricted import RestrictedRoute, Told
from bus.router.routing import Passed, Refused
from bus.router.versions import LearntVersions
from bus.subscriber.decoding import Decoder, UnlearntSchema
from bus.trust.grants.matching import Granted

MOST_WRITES = 1000
"""Records for feeds after which a portion takes in nothing more beside new records."""

ANSWER = 0.5
"""Seconds without a record after which none is there: what is overlooked would never be told."""

MOST_LOOKED_AT = 5000
"""Records that a portion looks at for the present that a grant gives."""


class Reads(Protocol):
    """What is needed of a reader."""

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return the first and the end offset by partition."""

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float
    ) -> list[Fetched]:
        """Return records from an offset on."""


class Views(Protocol):
    """The journal; `bus.router.journal.JournalFollower`."""

    async def view(self) -> View:
        """Return what a reading says that is not older than it may be."""

    def tell(self, changed: Callable[[], None]) -> None:
        """Have something called at each reading that says something else."""

    def leave(self, changed: Callable[[], None]) -> None:
        """Have it called no more."""


@dataclass(slots=True)
class Snapshot:
    """The present on its way to those whose grants are new.

    Args:
        fresh: the grants, with their recipients.
        began: where the router was when it began, on the shared topic.
        at: the next offset to be looked at; None before the first.
        ahead: records that were read and not looked at.
    """

    fresh: dict[bytes, str]
    began: int
    at: int | None = None
    ahead: Sequence[Fetched] = field(default_factory=list)


class RestrictedCourse:
    """Routes one partition of a restricted contract.

    Args:
        place: the partition.
        contract: the contract in force.
        route: what becomes of a record; it asks `memory`.
        memory: what feeds hold, empty.
        learning: learn schemas that the route meets.
        journal: says who gets what.
        reader: reads what lies in the engine.
    """

    def __init__(
        self,
        place: Place,
        contract: Contract,
        *,
        route: RestrictedRoute,
        memory: Memory,
        learning: tuple[Decoder, LearntVersions],
        journal: Views,
        reader: Reads,
    ) -> None:
        self._place, self._contract, self._route = place, contract, route
        self._memory, self._decoder, self._versions = memory, *learning
        self._journal, self._reader = journal, reader
        self._keeps = contract.retention == LAST_STATE
        self._view: View | None = None
        self._is_new = True
        self._lost: list[bytes] = []
        self._ended: set[bytes] = set()
        self._unmarked: set[bytes] = set()
        self._snapshot: Snapshot | None = None
        self._settled: list[Callable[[], None]] = []
        self._wake: Callable[[], None] = lambda: None

    @property
    def is_due(self) -> bool:
        """Whether feeds are behind what grants say."""
        return self._keeps and (self._is_new or bool(self._ended) or self._snapshot is not None)

    async def load(self, wake: Callable[[], None]) -> None:
        """Learn what feeds hold.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        self.undo()
        self._memory.forget()
        self._view, self._is_new, self._wake = None, True, wake
        self._snapshot = None
        self._journal.tell(self._changed)
        if not self._keeps:
            return
        topic, pause = memory_topic(self._contract.topic), Pause()
        at, end = (await self._reader.bounds(topic))[self._place[1]]
        while at < end:
            records = await self._reader.read(topic, self._place[1], at, max_wait=ANSWER)
            if not records:  # only marks of transactions are left
                break
            for record in records:
                self._memory.fold(record)
                await pause()
            at = records[-1].offset + 1

    async def begin(self, portion: Portion) -> None:
        """Read the journal, and put into a portion what feeds are behind.

        Raises:
            BusUnavailable: the engine cannot be reached.
        """
        view = await self._journal.view()
        if self._view is None or view.version != self._view.version:
            self._view, self._route.state = view, view.state
            self._look()
        if not self._keeps:
            return
        if self._unmarked:
            self._note()
        if self._ended:
            await self._withdraw(portion)
        elif self._snapshot is not None:
            await self._tell_present(portion, self._snapshot)

    def take(self, record: Fetched) -> Passed | Refused:
        """Return what becomes of a record."""
        return self._route.take(record, _now())

    async def learn(self, schema_id: int) -> None:
        """Ask for a schema that was not met before.

        Raises:
            UndecodableEvent: it is none of the contract's.
            BusUnavailable: the registry cannot be reached.
        """
        await self._decoder.learn(schema_id)
        await self._versions.learn(schema_id)

    def passed(self, portion: Portion, record: Fetched, verdict: Passed) -> None:
        """Put what feeds get into a portion."""
        portion.writes += verdict.writes
        portion.disclosures += verdict.disclosures
        portion.events.append((record.offset, verdict.event))
        if self._keeps:
            self._memory.put(record.key or b"", verdict.held)

    def repeated(self, record: Fetched, event: Event) -> None:
        """Note where the last event of a key lies now, as compaction may keep only the repeat."""
        held = self._memory.get(record.key or b"")
        if held is not None and held.event == event.id:
            self._memory.put(record.key or b"", held._replace(offset=record.offset))

    async def finish(self, portion: Portion) -> float | None:
        """Add what is remembered; return until when all of it may be written.

        Raises:
            OutOfDate: the journal says something else by now.
            BusUnavailable: the engine cannot be reached.
        """
        view = await self._journal.view()
        if self._view is None or view.version != self._view.version:
            raise OutOfDate
        topic = memory_topic(self._contract.topic)
        changes = self._memory.changes()
        portion.writes += [(topic, self._place[1], record) for record in changes]
        portion.writes += records(portion.disclosures)
        return view.valid_until

    def settle(self) -> None:
        """Take what was written for true."""
        self._memory.settle()
        for settled in self._settled:
            settled()
        self._settled.clear()

    def undo(self) -> None:
        """Forget what was not written."""
        self._memory.undo()
        self._settled.clear()

    def close(self) -> None:
        """Follow the journal no more."""
        self._journal.leave(self._changed)

    def _changed(self) -> None:
        self._is_new = True
        self._wake()

    @property
    def _flowing(self) -> Mapping[bytes, str]:
        """The contract's grants in force, with their recipients."""
        return {} if self._view is None else self._view.flowing.get(self._contract.topic, {})

    def _look(self) -> None:
        """Find out which grants have ended, and which are new."""
        self._is_new = False
        marks, flowing = self._memory.snapshots, self._flowing
        self._ended = set(marks.keys() - flowing.keys())
        self._unmarked = set(flowing.keys() - marks.keys())
        self._lost = [*self._memory.under(self._ended)] if self._ended else []
        if self._snapshot is not None:
            self._leave_out(self._ended)
        if not self._ended:
            self._plan()

    def _leave_out(self, grants: Container[bytes]) -> None:
        """Go on with the snapshot under way without some of its grants."""
        if self._snapshot is not None:
            fresh = self._snapshot.fresh
            self._snapshot.fresh = {g: to for g, to in fresh.items() if g not in grants}
            if not self._snapshot.fresh:
                self._snapshot = None

    def _plan(self) -> None:
        """Have the present told to those whose grants are new, once those before them have it."""
        if self._snapshot is None:
            marks = self._memory.snapshots
            fresh = {grant: to for grant, to in self._flowing.items() if not marks.get(grant)}
            self._snapshot = Snapshot(fresh, -1) if fresh else None

    def _note(self) -> None:
        """Mark grants before something is given under them, so that it is found when they end."""
        for grant in self._unmarked:
            self._memory.mark(grant, KNOWN)
        self._settled.append(self._unmarked.clear)

    async def _withdraw(self, portion: Portion) -> None:
        """Put into a portion what recipients lose.

        Who loses something that other grants give as well, gets the present of those anew.
        """
        pause, done, again = Pause(), 0, set[bytes]()
        for key in self._lost:
            if len(portion.writes) >= MOST_WRITES:
                break
            again |= self._take_back(portion, key)
            done += 1
            await pause()
        left = self._lost[done:]
        for grant in (*again, *(() if left else self._ended)):
            self._memory.mark(grant, None)

        def settled() -> None:
            self._lost = left
            self._leave_out(again)
            if not left:
                self._look()

        self._settled.append(settled)

    def _take_back(self, portion: Portion, key: bytes) -> set[bytes]:
        """Put into a portion what is lost of a key; return which grants give some of it still."""
        before, told = self._memory.get(key), self._route.withdraw(key, _now())
        if before is None or told is None:
            return set()
        self._told(portion, key, told)
        lost = before.feeds.keys() - told.held.feeds.keys()
        grants = {grant for recipient in lost for grant in before.feeds[recipient].grants}
        return grants & self._flowing.keys()

    async def _tell_present(self, portion: Portion, snapshot: Snapshot) -> None:
        """Put into a portion what there is, record by record of the shared topic."""
        began = portion.began if snapshot.at is None else snapshot.began
        if snapshot.at is None:
            self._mark(portion, snapshot, "begin", BEGUN, began)
        at, ahead = snapshot.at or 0, snapshot.ahead
        looked, pause = 0, Pause()
        while at < began and len(portion.writes) < MOST_WRITES and looked < MOST_LOOKED_AT:
            if not ahead:
                ahead = await self._read(at)
            if not ahead or ahead[0].offset >= began:
                at = began
                break
            record, ahead = ahead[0], ahead[1:]
            await self._renew(portion, record, snapshot)
            at, looked = record.offset + 1, looked + 1
            await pause()
        if at >= began:
            self._mark(portion, snapshot, "end", DONE, began)

        def settled() -> None:
            snapshot.at, snapshot.began, snapshot.ahead = at, began, ahead
            if at >= began and self._snapshot is snapshot:
                self._snapshot = None
                self._plan()

        self._settled.append(settled)

    async def _read(self, at: int) -> Sequence[Fetched]:
        topic, partition = self._place
        try:
            return await self._reader.read(topic, partition, at, max_wait=ANSWER)
        except PositionLost:  # the log begins later
            first, _ = (await self._reader.bounds(topic))[partition]
            return await self._reader.read(topic, partition, first, max_wait=ANSWER)

    async def _renew(self, portion: Portion, record: Fetched, snapshot: Snapshot) -> None:
        held = self._memory.get(record.key or b"")
        if held is None or held.offset != record.offset:
            return  # it did not count, or a later one has taken its place
        try:
            told = self._route.renew(record, snapshot.fresh, _now())
        except UnlearntSchema as unlearnt:
            await self.learn(unlearnt.schema_id)
            told = self._route.renew(record, snapshot.fresh, _now())
        if told is not None:
            self._told(portion, record.key or b"", told)

    def _told(self, portion: Portion, key: bytes, told: Told) -> None:
        portion.writes += told.writes
        portion.disclosures += told.disclosures
        self._memory.put(key, told.held)

    def _mark(
        self, portion: Portion, snapshot: Snapshot, word: str, state: bytes, began: int
    ) -> None:
        for grant, recipient in snapshot.fresh.items():
            one = Granted(recipient, (), (grant,))
            place = (self._place[1], began)
            portion.writes.append(self._route.marker(one, word, place, _now()))
            self._memory.mark(grant, state)


def _now() -> int:
    return int(time.time() * 1000)
