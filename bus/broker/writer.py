"""The one thread that writes: everything that arrived while the last commit was syncing, at once.

Appends are judged and placed here, on what is committed plus what is earlier in the same round, so
a round that fails leaves nothing to undo. Rows and answers are handed over only after the commit.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kio.schema.errors import ErrorCode

from bus.broker.admission import BadRecords, admitted
from bus.broker.batch import BadBatch
from bus.broker.fair import Fair
from bus.broker.housekeeping import Housekeeping
from bus.broker.sequences import Producer, expecting
from bus.broker.stage import Append, Outcome, ProducerKey, Row, Stage
from bus.broker.storage.database import PAGE_BYTES, now_ms, passing
from bus.broker.storage.store import Store
from bus.broker.transactions.state import Aborted, State, Transaction

ROUND_BYTES = 3 * 2**18  # or one batch that is larger; see storage.pages for what comes of it
ROUND_JOBS = 250  # settled in one turn of the event loop, which must stay short
EXPIRE_EVERY = 3600.0  # seconds

log = logging.getLogger(__name__)
T = TypeVar("T")


class StorageFailed(Exception):
    """A commit that did not succeed.

    Attributes:
        full: whether it was for want of space, or somebody was in the way, so that a later one may
            succeed.
    """

    def __init__(self, reason: str, *, full: bool) -> None:
        self.full = full
        super().__init__(reason)


@dataclass(slots=True)
class Change(Generic[T]):
    """Any other write: run inside the round's transaction, settled after its commit.

    Attributes:
        publish: makes what is committed now known to the event loop, in the order of the changes.
    """

    run: Callable[[Store, Stage], T]
    settled: asyncio.Future[T]
    publish: Callable[[T], None] | None = None
    result: T | None = None


@dataclass(slots=True)
class Told:
    """Something that housekeeping has to know, at once and without a commit."""

    run: Callable[[Housekeeping], None]


Job = Append | Change[Any]


@dataclass(slots=True)
class Round:
    """A finished round: what was asked, and what came of it.

    Attributes:
        opened: where transactions began, or None where they ended, by partition and producer.
    """

    jobs: Sequence[Job]
    outcomes: Sequence[Outcome]
    rows: Sequence[Row] = ()
    transactions: Sequence[Transaction] = ()
    opened: Mapping[int, Mapping[int, int | None]] = field(default_factory=dict)
    aborted: Sequence[Aborted] = ()
    seconds: float = 0.0
    failure: StorageFailed | None = None


class Writer:
    """The writer thread.

    Args:
        store: the database.
        ends: the next offset by partition number, as stored.
        producers: the producers' states, as stored.
        transactions: the transactions by transactional id, as stored.
        unknown: partitions whose end is not known, because they are damaged.
        housekeeping: what is done between rounds, and what knows whether there is space.
        max_unpacked_bytes: what the records of a compressed batch may unpack to.
        stamped: partitions whose marks get the time when they are appended; may change meanwhile.
        finish: called on the event loop with each round.
    """

    def __init__(
        self,
        store: Store,
        *,
        ends: Mapping[int, int],
        producers: Mapping[ProducerKey, Producer],
        transactions: Mapping[str, Transaction],
        unknown: Iterable[int] = (),
        housekeeping: Housekeeping,
        max_unpacked_bytes: int,
        stamped: Collection[int] = frozenset(),
        finish: Callable[[Round], None],
    ) -> None:
        self._store, self._housekeeping, self._finish = store, housekeeping, finish
        self._max_unpacked, self._stamped = max_unpacked_bytes, stamped
        self._ends, self._producers = dict(ends), dict(producers)
        self._transactions = dict(transactions)
        self._opened: dict[int, dict[int, int]] = {}
        for (partition, producer), state in producers.items():
            if state.opened is not None:
                self._opened.setdefault(partition, {})[producer] = state.opened
        self._gone = set(unknown)  # and what is dropped; numbers are never given again
        self._queue: queue.SimpleQueue[Job | Told | None] = queue.SimpleQueue()
        self._waiting: Fair[Job] = Fair(ROUND_JOBS, ROUND_BYTES, PAGE_BYTES)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="broker-writer", daemon=True)
        self._stopping = False
        self._longest_step = 0.0
        self._trouble = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def stop(self) -> None:
        """Write what was submitted and end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def submit(self, job: Job) -> None:
        """Queue a job for the next round."""
        self._queue.put(job)

    def tell(self, run: Callable[[Housekeeping], None]) -> None:
        """Have housekeeping take note of something, after what was submitted before."""
        self._queue.put(Told(run))

    async def change(
        self, run: Callable[[Store, Stage], T], publish: Callable[[T], None] | None = None
    ) -> T:
        """Run a write in the next round's transaction and wait for its commit.

        Raises:
            StorageFailed: it is not stored.
        """
        settled: asyncio.Future[T] = self._loop.create_future()
        self.submit(Change(run, settled, publish))
        return await settled

    def longest_step(self) -> float:
        """Return for how long all had to wait for housekeeping at most, since this was asked last.

        In seconds; of a figure that is read while it is written nothing more than itself is lost.
        """
        longest, self._longest_step = self._longest_step, 0.0
        return longest

    def _run(self) -> None:
        expired = time.monotonic()
        while self._waiting or not self._stopping:
            jobs = self._take()
            if jobs:
                finished = self._round(jobs)
                self._loop.call_soon_threadsafe(self._finish, finished)
                if finished.failure and not finished.failure.full:
                    return
            try:
                started = time.monotonic()
                self._housekeeping.step(idle=not jobs)
                self._store.pages.bound()
                now = time.monotonic()
                self._longest_step = max(self._longest_step, now - started)
                if now - expired >= EXPIRE_EVERY:
                    expired = now
                    self._expire()
            except Exception as error:  # or nobody would be answered any more
                failure = StorageFailed(f"housekeeping: {error}", full=False)
                self._loop.call_soon_threadsafe(self._finish, Round((), (), failure=failure))
                return

    def _take(self) -> list[Job]:
        """Return the jobs of the next round, of all that were submitted."""
        try:
            if not self._waiting:
                self._arrived(self._queue.get(timeout=self._housekeeping.wait()))
            while True:
                self._arrived(self._queue.get_nowait())
        except queue.Empty:
            return self._waiting.take(time.monotonic())

    def _arrived(self, job: Job | Told | None) -> None:
        if job is None:
            self._stopping = True
        elif isinstance(job, Told):
            job.run(self._housekeeping)
        elif isinstance(job, Append):
            self._waiting.put(job.source, job, len(job.records), job.partition)
        else:
            self._waiting.put(None, job, PAGE_BYTES)

    def _round(self, jobs: Sequence[Job]) -> Round:
        started = time.perf_counter()
        stage = Stage(
            self._ends,
            self._producers,
            now_ms(),
            self._transactions,
            self._opened,
            self._gone,
            self._stamped,
        )
        try:
            refused = [self._refusal(job) for job in jobs]
            space = self._housekeeping.has_space()
            self._store.begin()
            outcomes = [
                no or self._do(job, stage, space=space)
                for job, no in zip(jobs, refused, strict=True)
            ]
            stage.close()
            self._store.log.write(stage.rows)
            self._store.producers.write(stage.producers, stage.now)
            if stage.transactions.changed:
                self._store.transactions.write(stage.transactions.changed.values())
                self._store.transactions.abort(stage.aborted)
            self._store.commit()
        except Exception as error:  # or whoever waits would wait for ever
            return self._failed(jobs, error)
        if space:
            self._say("")
        self._take_over(stage)
        self._housekeeping.wrote(stage.rows)
        if any(isinstance(job, Change) for job in jobs):
            self._housekeeping.wake()
        return Round(
            jobs,
            outcomes,
            stage.rows,
            tuple(stage.transactions.changed.values()),
            stage.opened,
            stage.aborted,
            time.perf_counter() - started,
        )

    def _take_over(self, stage: Stage) -> None:
        """Take what the round changed for what is committed."""
        self._ends |= stage.ends
        self._producers |= stage.producers
        for one in stage.transactions.changed.values():
            if one.state is State.DEAD:
                self._transactions.pop(one.name, None)
            else:
                self._transactions[one.name] = one
        for partition, began in stage.opened.items():
            known = self._opened.setdefault(partition, {})
            for producer, offset in began.items():
                if offset is None:
                    known.pop(producer, None)
                else:
                    known[producer] = offset
            if not known:
                del self._opened[partition]
        if stage.dropped:
            self._drop(stage.dropped)

    def _drop(self, partitions: set[int]) -> None:
        self._gone |= partitions
        for key in [key for key in self._producers if key[0] in partitions]:
            del self._producers[key]
        for number in partitions:
            self._ends.pop(number, None)
            self._opened.pop(number, None)

    def _refusal(self, job: Job) -> Outcome | None:
        """Look into a batch: here, as it takes long for the event loop, and before the database."""
        if isinstance(job, Change):
            return None
        try:
            job.records, job.header = admitted(
                job.records,
                job.header,
                job.demands,
                unpacked_limit=self._max_unpacked,
                now=now_ms(),
            )
        except BadRecords as error:
            return Outcome(error.error, reason=error.reason, named=error.named)
        except BadBatch as error:
            return Outcome(error.error, reason=error.reason)
        return None

    def _do(self, job: Job, stage: Stage, *, space: bool) -> Outcome:
        if isinstance(job, Change):
            job.result = job.run(self._store, stage)
            return Outcome(ErrorCode.none)
        if job.fault is not None:
            raise job.fault
        if not space:
            self._say("too little space on the disk: publishers are told to try again")
            self._expect_again(job)
            return Outcome(ErrorCode.kafka_storage_error)
        return stage.append(job)

    def _failed(self, jobs: Sequence[Job], error: Exception) -> Round:
        full = passing(error)
        try:
            self._store.rollback()
        except sqlite3.Error:
            full = False
        self._say(f"commit failed: {error}")
        for job in jobs:
            if isinstance(job, Append):
                self._expect_again(job)
        refused = Outcome(ErrorCode.kafka_storage_error)
        failure = StorageFailed(str(error), full=full)
        return Round(jobs, [refused] * len(jobs), failure=failure)

    def _say(self, trouble: str) -> None:
        """Log trouble once, and when it is over; publishers try again many times a second."""
        if trouble and not self._trouble:
            log.error("%s", trouble)
        elif self._trouble and not trouble:
            log.warning("commits succeed again, after: %s", self._trouble)
        self._trouble = trouble

    def _expect_again(self, append: Append) -> None:
        header = append.header
        if header.producer_id >= 0:
            self._producers.setdefault(
                (append.partition, header.producer_id),
                expecting(header.producer_epoch, header.base_sequence),
            )

    def _expire(self) -> None:
        """Forget producers that have not written for a day.

        Raises:
            sqlite3.Error: nobody knows what is stored.
        """
        try:
            for key in self._store.producers.expire(now_ms()):
                self._producers.pop(key, None)
        except sqlite3.Error as error:
            if not passing(error):
                raise
            log.error("forgetting old producers failed: %s", error)
