"""Reading as a member of a consumer group."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as foreign
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import OffsetAndMetadata

from bus.errors import BusError, BusUnavailable, PositionLost
from bus.kafka.assignor import assignor
from bus.kafka.connection import Topics, look, ours, security, started
from bus.kafka.reader import LogReader
from bus.kafka.records import FETCH_BYTES, Fetched, Place, check_order, fetched
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

_Hears = Callable[[Iterable[TopicPartition]], Awaitable[None]]
_NOTHING = TopicPartition("", -1)

JOINING = 0.01
"""Seconds between two looks whether this member has been given partitions."""

COMMITTING = 3.0
"""Seconds after which positions count as not stored; whoever has them next handles more again."""


class Watcher(Protocol):
    """What a group's member does when partitions come and go."""

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        """Return where to read each partition from."""

    def begin(self, place: Place, position: int) -> None:
        """Make ready for the records of a partition; it is this member's now."""

    async def revoked(self, places: frozenset[Place]) -> None:
        """Finish and commit what was taken from these partitions. No lock may be waited for."""


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands aiokafka's calls on to the two methods of a group consumer."""

    def __init__(self, revoked: _Hears, assigned: _Hears) -> None:
        self._on_revoked, self._on_assigned = revoked, assigned

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._on_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._on_assigned(assigned)


class GroupConsumer:
    """A member of a consumer group: no automatic commits, no automatic reset of positions.

    Args:
        kafka: how the engine is reached.
        group: the group's name.
        topics: what to read.
        watcher: is told which partitions come and go.
        client_id: what the engine knows this client as.
        companions: topics whose partitions go to whoever has the same partition of another one,
            each with that other one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        group: str,
        topics: Sequence[str],
        watcher: Watcher,
        *,
        client_id: str = "stadtbus",
        companions: Mapping[str, str] | None = None,
    ) -> None:
        self._assignor = assignor(companions or {})
        self._kafka, self._group, self._topics = kafka, group, tuple(topics)
        self._watcher, self._client_id = watcher, client_id
        self._consumer: AIOKafkaConsumer | None = None
        self._readable: dict[TopicPartition, int] = {}  # with the offset behind what was returned
        self._careful: LogReader | None = None
        self._new: frozenset[Place] = frozenset()

    async def start(self) -> None:
        """Connect and ask to join the group.

        Raises:
            BusUnavailable: no broker answers.
            NotFound: a topic does not exist.
            NotAuthorised: a topic may not be seen.
        """
        consumer = AIOKafkaConsumer(
            client_id=self._client_id,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(self._assignor,),
            # A slow handler is no dead one: the poll loop goes on beside it, and a member whose
            # process hangs altogether stops its heartbeats.
            max_poll_interval_ms=86_400_000,
            rebalance_timeout_ms=60_000,
            max_partition_fetch_bytes=FETCH_BYTES,
            retry_backoff_ms=50,
            **security(self._kafka),
        )
        self._consumer = consumer
        try:
            await started(consumer.start, self._kafka)
            topics = Topics(self._kafka)
            for topic in self._topics:
                await topics.count(consumer._client, topic)  # noqa: SLF001
        except BaseException:
            self._consumer = None
            await consumer.stop()
            raise
        # A commit is shielded from who gives up on it, and then nobody looks at what came of it.
        coordinator = consumer._coordinator  # noqa: SLF001
        coordinator._do_commit_offsets = _attended(coordinator._do_commit_offsets)  # noqa: SLF001
        consumer.subscribe(self._topics, listener=_Listener(self._revoked, self._assigned))

    async def stop(self) -> None:
        """Leave the group."""
        if self._careful is not None:
            careful, self._careful = self._careful, None
            await careful.stop()
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await _stop(consumer)

    async def poll(
        self, max_wait: float, without: Collection[Place] = ()
    ) -> dict[Place, list[Fetched]]:
        """Return what has been read ahead, or wait for it.

        Args:
            max_wait: seconds to wait for.
            without: partitions whose records are left where they are; they stay this member's.

        Raises:
            PositionLost: a position lies outside what the topic still holds.
            NotAuthorised: a topic or the group may not be read.
            BusUnavailable: the engine cannot serve just now.
        """
        if self._new:
            await self._open()
        wanted = [p for p in self._readable if (p.topic, p.partition) not in without]
        if not self._readable:
            max_wait = min(max_wait, JOINING)
        consumer = self._use()
        try:
            async with asyncio.timeout(max_wait + 1):
                found = await consumer.getmany(
                    *(wanted or [_NOTHING]), timeout_ms=int(max_wait * 1000)
                )
            for partition in found.keys() & self._readable.keys():
                check_order(found[partition], await consumer.position(partition))
        except TimeoutError:
            return {}
        except foreign.NoOffsetForPartitionError:
            return {}
        except foreign.OffsetOutOfRangeError as error:
            raise self._lost(error) from error
        except (foreign.CorruptRecordException, foreign.UnsupportedCodecError) as error:
            return await self._read_carefully(consumer, wanted, error)
        except foreign.ConsumerStoppedError:
            raise
        except foreign.KafkaError as error:
            raise self._ours(error, self._kafka.bootstrap) from error
        except Exception as error:  # the bytes may be anything, and so may what is raised for them
            return await self._read_carefully(consumer, wanted, error)
        for partition in found.keys() & self._readable.keys():
            self._readable[partition] = found[partition][-1].offset + 1
        return {
            (place.topic, place.partition): [fetched(record) for record in records]
            for place, records in found.items()
        }

    async def _read_carefully(
        self, consumer: AIOKafkaConsumer, wanted: Sequence[TopicPartition], error: Exception
    ) -> dict[Place, list[Fetched]]:
        """Read on around what aiokafka cannot decode.

        It does not say which partition that is in, and has moved on in others without handing over
        their records: all of them are read from where the last answer of `poll` ended.
        """
        log.info("group %s: what was fetched is read with care: %r", self._group, error)
        for partition in wanted:
            if partition in self._readable:
                consumer.seek(partition, self._readable[partition])
        reader = await self._reader()
        found: dict[Place, list[Fetched]] = {}
        trouble: BusUnavailable | None = None
        for partition in wanted:
            place = (partition.topic, partition.partition)
            position = self._readable.get(partition)
            if position is None:
                continue
            try:
                found[place] = await reader.read(*place, position, max_wait=0)
            except BusUnavailable as unavailable:  # it is not lost, and holds up no other
                trouble = unavailable
        kept = {place: records for place, records in found.items() if records}
        if trouble is not None and not kept:
            raise trouble
        return self._seek_behind(consumer, kept)

    def _seek_behind(
        self, consumer: AIOKafkaConsumer, found: Mapping[Place, list[Fetched]]
    ) -> dict[Place, list[Fetched]]:
        """Go on behind records that were read otherwise; return those of our partitions still."""
        mine = {p: r for p, r in found.items() if TopicPartition(*p) in self._readable}
        for place, records in mine.items():
            partition = TopicPartition(*place)
            self._readable[partition] = records[-1].offset + 1
            consumer.seek(partition, self._readable[partition])
        return mine

    async def _reader(self) -> LogReader:
        if self._careful is None:
            reader = LogReader(self._kafka, client_id=self._client_id)
            await reader.start()
            self._careful = reader
        return self._careful

    async def commit(self, positions: Mapping[Place, int], metadata: str = "") -> None:
        """Store the group's positions: the offset of the next record to be handled.

        Args:
            positions: where the group is.
            metadata: what is stored beside each of them.

        Raises:
            Conflict: the partition is no longer this member's.
            BusUnavailable: the coordinator cannot be reached.
        """
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, metadata)
            for place, offset in positions.items()
        }
        try:
            # aiokafka would try for ever, and whoever stops or rebalances would wait with it.
            async with asyncio.timeout(COMMITTING):
                await self._use().commit(offsets)
        except TimeoutError as error:
            raise BusUnavailable(
                f"the group's coordinator has stored nothing in {COMMITTING:g} s",
                where=f"group {self._group}",
            ) from error
        except foreign.KafkaError as error:
            raise self._ours(error, f"group {self._group}") from error

    async def committed(self, place: Place) -> int | None:
        """Return the group's position in a partition; None if it never committed one."""
        try:
            offset = await self._use().committed(TopicPartition(*place))
        except foreign.KafkaError as error:
            raise self._ours(error, f"group {self._group}") from error
        return None if offset is None else int(offset)

    async def earliest(self, place: Place) -> int:
        """Return the first offset that a partition still holds."""
        partition = TopicPartition(*place)
        try:
            return int((await self._use().beginning_offsets([partition]))[partition])
        except foreign.KafkaError as error:
            raise self._ours(error, f"{place[0]}-{place[1]}") from error

    async def _revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._readable.clear()
        self._new = frozenset()
        await self._watcher.revoked(frozenset((p.topic, p.partition) for p in revoked))

    async def _assigned(self, assigned: Iterable[TopicPartition]) -> None:
        # Only noted: finding the positions takes requests, which may fail and be tried again.
        self._new = frozenset((p.topic, p.partition) for p in assigned)

    async def _open(self) -> None:
        """Find out where to read what was assigned last, and begin."""
        places = self._new
        positions = await self._watcher.positions(places)
        if self._new is not places:
            return  # assigned anew in the meantime
        self._new = frozenset()
        for place, offset in positions.items():
            partition = TopicPartition(*place)
            self._use().seek(partition, offset)
            self._readable[partition] = offset
            self._watcher.begin(place, offset)

    def _use(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BusUnavailable("the consumer is not started", where=self._kafka.bootstrap)
        return self._consumer

    def _ours(self, error: foreign.KafkaError, where: str) -> BusError:
        right = f"Read on the group {self._group}"
        if isinstance(error, foreign.TopicAuthorizationFailedError):
            right = f"Read on the topic {', '.join(self._topics)}"
        return ours(error, where, self._kafka, right)

    def _lost(self, error: Exception) -> PositionLost:
        positions = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        where = ", ".join(f"{p.topic}-{p.partition} at {o}" for p, o in positions.items())
        return PositionLost(
            f"group {self._group} has a position that the topic no longer holds, or not yet",
            where=where,
            remedy="events were missed: decide where to go on, and set the group's position",
        )


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, also one whose fetches have just failed.

    aiokafka cancels fetches one after the other, and lets the end of one that pauses after a
    failure pass for its own: whatever it would have closed next stays open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait([stopping])
    if stopping.cancelled():
        left = list(consumer._fetcher._pending_tasks)  # noqa: SLF001
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await consumer._client.close()  # noqa: SLF001
    else:
        stopping.result()


def _attended(call: Callable[..., Awaitable[None]]) -> Callable[..., "asyncio.Future[None]"]:
    """Return a call whose error is looked at even if nobody waits for it any more."""

    def begin(*arguments: object) -> "asyncio.Future[None]":
        task = asyncio.ensure_future(call(*arguments))
        task.add_done_callback(look)
        return task

    return begin
