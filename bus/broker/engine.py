"""What all requests work on: topics, groups, positions, the writer and the reader."""

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bus.broker.compaction.dirt import Terms
from bus.broker.compaction.shell import Compaction
from bus.broker.faults import Faults
from bus.broker.groups.forgetting import Forgetting
from bus.broker.groups.shell import Groups
from bus.broker.housekeeping import Housekeeping
from bus.broker.limits import Limits
from bus.broker.partition import NOTHING, Partition, Read, TailCache, gather
from bus.broker.retention import Extent, Policy, Trimmed
from bus.broker.security.audit import Audit
from bus.broker.security.rules import Rules
from bus.broker.security.security import Security
from bus.broker.security.users import Users
from bus.broker.sequences import Producer
from bus.broker.settling import Settling
from bus.broker.stage import Append, ProducerKey, Stage
from bus.broker.storage.database import UNREADABLE, now_ms
from bus.broker.storage.log import Damaged
from bus.broker.storage.positions import Position
from bus.broker.storage.reader import Reader
from bus.broker.storage.store import Store
from bus.broker.topics import Topic, Topics
from bus.broker.transactions.shell import Transactions
from bus.broker.transactions.state import Transaction
from bus.broker.writer import Round, Writer
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry

NODE_ID = 1
LEADER_EPOCH = 0
_PRODUCER_IDS = 1000  # reserved with one commit
_STATEMENT_BYTES = 2**20  # read at a time: the writer waits for who reads if the log grows too long

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Engine:
    """The state of a running broker, behind its connections.

    Attributes:
        address: where clients are told to connect to.
        cluster: the cluster's id; it begins with ``stadtbus-``.
        failed: called once if the storage fails for another reason than want of space.
        changing: held from the look at topics until they are changed, so that what was seen holds.
        security: who can log in, who may do what; set once started.
    """

    settings: BrokerSettings
    telemetry: Telemetry
    faults: Faults
    address: Address
    path: Path
    failed: Callable[[Exception], None]
    cluster: str = ""
    topics: Topics = field(default_factory=Topics)
    groups: Groups = field(default_factory=Groups)
    positions: dict[str, dict[tuple[str, int], Position]] = field(default_factory=dict)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    security: Security = field(init=False)
    limits: Limits = field(init=False)
    transactions: Transactions = field(init=False)
    _producer_ids: deque[int] = field(default_factory=deque)
    _stamped: set[int] = field(default_factory=set)  # partitions with the time of appending
    _unsure: bool = False  # after a commit that failed for another reason than want of space
    _writer: Writer = field(init=False)
    _settling: Settling = field(init=False)
    _store: Store = field(init=False)
    _reader: Reader = field(init=False)
    _cache: TailCache = field(init=False)
    forgetting: Forgetting = field(init=False)
    _compaction: Compaction = field(init=False)
    _reading: ThreadPoolExecutor = field(init=False)

    def start(self) -> None:
        """Load what is stored and start the threads.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        self.limits = Limits(self.settings)
        kept_ms = self.settings.transactional_id_expiration_ms
        self.transactions = Transactions(now_ms, kept=kept_ms)
        self._store = Store(self.path, overwrite=self.settings.overwrite_deleted)
        damaged = self._store.digest.verify()
        self._reader = Reader(self.path)
        self._reading = ThreadPoolExecutor(1, "broker-reader")
        self._cache = TailCache(self.settings.tail_cache_bytes)
        self.security = Security(
            self.settings,
            Users(self._store.users.all(), self._store.users.secret()),
            Rules(self._store.rules.all(), self.settings.super_users),
            Audit(self.telemetry),
        )
        self._compaction = Compaction(self.path, self)
        kept = self._store.positions.groups()  # before the writer has the store for itself
        self._load(damaged)
        self._compaction.start()
        self.groups.start()
        self.forgetting = Forgetting(
            self.groups,
            self.positions,
            self.change,
            retention=round(self.settings.positions_retention_seconds * 1000),
        )
        self.forgetting.start(kept)
        self.transactions.start(
            lambda turn: self.transact(lambda store, stage: turn(stage.transactions))
        )

    def _load(self, damaged: Container[int]) -> None:
        cluster = self._store.cluster()
        # Said to whoever asks, so that nobody takes a single node without replicas for a cluster.
        self.cluster = f"stadtbus-{cluster.hex[:13]}"
        ends: dict[int, int] = {}
        for stored in self._store.topics.all(damaged):
            topic = Topic(stored, self.settings.max_batch_bytes)
            self.topics.add(topic)
            ends |= {partition.number: partition.end for partition in topic.partitions}
        for group, topic_name, index, position in self._store.positions.all():
            self.positions.setdefault(group, {})[topic_name, index] = position
        self.groups.know(self.positions)
        producers = self._store.producers.all(now_ms())
        transactions = self._store.transactions.all()
        self._know(producers, transactions.values())
        self._settling = Settling()
        self._writer = Writer(
            self._store,
            ends=ends,
            producers=producers,
            transactions=transactions,
            unknown=[
                partition.number
                for topic in self.topics
                for partition in topic.partitions
                if partition.damage
            ],
            housekeeping=self._housekeeping(),
            max_unpacked_bytes=self.settings.max_unpacked_bytes,
            stamped=self._stamped,
            finish=self._finish,
        )
        self._writer.start()
        for topic in self.topics:
            self.govern(topic)

    def _know(
        self, producers: Mapping[ProducerKey, Producer], transactions: Iterable[Transaction]
    ) -> None:
        """Take note of the transactions that are stored, and where they began."""
        self.transactions.know(transactions)
        for (number, producer), state in producers.items():
            partition = self.topics.numbered(number)
            if partition is not None and state.opened is not None:
                partition.opened[producer] = state.opened
        for number, last in self._store.transactions.newest_aborted().items():
            partition = self.topics.numbered(number)
            if partition is not None:
                partition.aborted = last

    def _housekeeping(self) -> Housekeeping:
        loop = asyncio.get_running_loop()

        def trimmed(gone: Trimmed) -> None:
            loop.call_soon_threadsafe(self._trimmed, gone)

        def damaged(number: int, reason: str) -> None:
            loop.call_soon_threadsafe(self._found_damaged, number, reason)

        keeping = Housekeeping(
            self._store,
            self.settings.min_free_bytes,
            trimmed=trimmed,
            damaged=damaged,
            overwrite=self.settings.overwrite_deleted,
        )
        keeping.know(
            (partition.number, Extent(partition.start, partition.end, partition.size))
            for topic in self.topics
            for partition in topic.partitions
            if not partition.damage
        )
        return keeping

    def govern(self, topic: Topic) -> None:
        """Have a topic's records kept as its configs say; called whenever these may be others."""
        policy = Policy.of(topic.configs, self.settings.retention_ms)
        sound = [partition for partition in topic.partitions if not partition.damage]
        numbers = [partition.number for partition in sound]
        self.tell(lambda keeping: keeping.govern(numbers, policy))
        self._stamped.difference_update(numbers)
        if topic.stamped:
            self._stamped.update(numbers)
        terms = Terms.of(topic.configs)
        for partition in sound:
            self._compaction.govern(partition, terms)

    def tell(self, run: Callable[[Housekeeping], None]) -> None:
        """Have housekeeping take note of something, after what was written before."""
        self._writer.tell(run)

    def forget(self, topic: Topic) -> None:
        """Let go of a topic that was dropped: what it held is deleted, and in memory no more."""
        numbers = [partition.number for partition in topic.partitions]
        self.tell(lambda keeping: keeping.forget(numbers))
        self._stamped.difference_update(numbers)
        for partition in topic.partitions:
            self._compaction.forget(partition)
            self._cache.drop(partition, partition.end)

    async def begin(self, partition: Partition, start: int) -> None:
        """Have a partition begin at an offset; what lies before it is deleted afterwards.

        Raises:
            StorageFailed: it begins where it began.
        """
        await self.change(lambda store: store.topics.begin(partition.number, start))
        self.tell(lambda keeping: keeping.begins(partition.number, start))
        self._cache.drop(partition, start)
        partition.begin(start)

    def replaced(self, partition: Partition, upto: int, less: int) -> None:
        """Take note that rows before an offset were compacted, and by how many bytes."""
        partition.size -= less
        self._cache.drop(partition, upto)

    def damaged(self, partition: Partition, reason: str) -> None:
        """Put a partition out of service, as what is stored is not what was written."""
        if self.topics.numbered(partition.number) is partition:
            place = self.topics.place(partition)
            log.error("%s is out of service: %s; `stadtbus broker check` names it", place, reason)
            partition.damage = reason
            partition.forget()
            self._compaction.forget(partition)
            self.tell(lambda keeping: keeping.leave(partition.number))

    def _found_damaged(self, number: int, reason: str) -> None:
        partition = self.topics.numbered(number)
        if partition is not None:
            self.damaged(partition, reason)

    def _trimmed(self, gone: Trimmed) -> None:
        partition = self.topics.numbered(gone.partition)
        if partition is not None:
            partition.size -= gone.size
            self._cache.drop(partition, gone.upto)
            partition.begin(gone.start)

    async def stop(self) -> None:
        """Write what was taken, and close the database."""
        self.groups.stop()
        self.transactions.stop()
        await self.forgetting.stop()
        await self._compaction.stop()
        await self._writer.stop()
        self._settling.all()
        self._reading.shutdown()
        self.security.close()
        self._reader.close()
        self._seal()
        self._store.close()

    def _seal(self) -> None:
        """Leave behind what the next start is held against, unless nobody knows what is stored."""
        if self._unsure:
            return
        try:
            self._store.digest.write()
        except UNREADABLE as error:
            log.error("what was stored could not be sealed: %s", error)

    def append(self, append: Append) -> None:
        """Queue a batch for the next commit."""
        self._writer.submit(append)

    async def change(
        self, run: Callable[[Store], T], publish: Callable[[T], None] | None = None
    ) -> T:
        """Run a write and wait until it is durable.

        Args:
            run: called in the writer's thread.
            publish: called in the event loop right after the commit, in the order of the changes.

        Raises:
            StorageFailed: it is not stored.
        """
        return await self._writer.change(lambda store, stage: run(store), publish)

    async def transact(
        self, run: Callable[[Store, Stage], T], publish: Callable[[T], None] | None = None
    ) -> T:
        """Run what changes transactions, as `change` does; what changed is known after it.

        Raises:
            StorageFailed: it is not stored.
        """
        return await self._writer.change(run, publish)

    async def new_producer_id(self) -> int:
        """Return a producer id that was never given before.

        Raises:
            StorageFailed: no further ids could be reserved.
        """
        if not self._producer_ids:
            first = await self.change(lambda store: store.producers.reserve(_PRODUCER_IDS))
            self._producer_ids.extend(range(first, first + _PRODUCER_IDS))
        return self._producer_ids.popleft()

    def _finish(self, done: Round) -> None:
        self.transactions.know(done.transactions)
        turned = [
            partition
            for number, began in done.opened.items()
            if (partition := self.topics.numbered(number)) is not None and partition.turn(began)
        ]
        for aborted in done.aborted:
            partition = self.topics.numbered(aborted.partition)
            if partition is not None:
                partition.aborted = aborted.last
        for row in done.rows:
            partition = self.topics.numbered(row.partition)
            if partition is not None:
                self._cache.add(partition, row)
                self._compaction.wrote(row)
        for partition in turned:
            partition.settle()
        self._settling.add(done)
        if done.failure is None:
            self.telemetry.commit_duration.observe(done.seconds)
        elif not done.failure.full:
            self._unsure = True
            self._settling.all()
            self.failed(done.failure)

    async def read(
        self,
        partition: Partition,
        offset: int,
        limit: int,
        *,
        at_least_one: bool,
        stable: bool = False,
    ) -> Read:
        """Return durable batches, from memory or from the database.

        Args:
            partition: where they are.
            offset: of the first record.
            limit: bytes.
            at_least_one: whether the first batch comes even if it is above the limit.
            stable: whether the last stable offset is the end.

        Raises:
            Damaged: what is stored is not what was written; the partition is out of service.
        """
        if partition.damage:
            raise Damaged(partition.damage)
        end = partition.stable if stable else partition.end
        if offset >= end:
            return NOTHING
        if offset >= partition.cached_from:
            return partition.read(offset, limit, at_least_one=at_least_one, end=end)
        rows = await self.query(
            partition,
            lambda reader: reader.rows(partition.number, offset, end, min(limit, _STATEMENT_BYTES)),
        )
        stored = ((row.base, row.next, row.batches) for row in rows)
        return gather(stored, offset, limit, at_least_one=at_least_one, end=end)

    async def query(self, partition: Partition, run: Callable[[Reader], T]) -> T:
        """Ask the database about a partition, in the reader thread.

        Raises:
            Damaged: what is stored is not what was written; the partition is out of service.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reading, run, self._reader)
        except Damaged as error:
            self.damaged(partition, str(error))
            raise

    def measure(self) -> None:
        """Bring the metrics of storage up to date."""
        files: Sequence[Path] = (self.path, self.path.with_name(self.path.name + "-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        self.telemetry.storage_size.set(size)
        log_file = files[1]
        self.telemetry.longest_step.set(self._writer.longest_step())
        self.telemetry.wal_size.set(log_file.stat().st_size if log_file.exists() else 0)
        self.telemetry.request_memory.set(self.limits.requests.held)
        self.telemetry.fetch_memory.set(self.limits.fetches.held)
        self.telemetry.damaged_partitions.set(self.topics.damaged())
        transactions, age = self.transactions.open()
        self.telemetry.open_transactions.set(transactions)
        self.telemetry.oldest_transaction.set(age)
        self.limits.quotas.forget(asyncio.get_running_loop().time())
        disk = shutil.disk_usage(self.path.parent)
        self.telemetry.storage_free.set(disk.free)
        self.telemetry.storage_disk.set(disk.total)
