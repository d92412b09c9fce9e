"""Writing to several partitions at once: all of it, or nothing."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as foreign
from aiokafka.structs import OffsetAndMetadata

from bus.errors import BusError, BusUnavailable, Fenced, NotAuthorised, OutcomeUnknown
from bus.kafka.connection import CLOSING, look, ours, security, started
from bus.kafka.pack import Batch, header, packed
from bus.kafka.records import LARGEST_BATCH, Place, Record
from bus.settings import KafkaSettings
from bus.startable import Startable

log = logging.getLogger(__name__)

ANSWER = 30.0
"""Seconds after which a transaction's outcome counts as unknown."""

TAKING_BACK = 5.0
"""Seconds in which a transaction that failed is taken back, or left to the engine's time-out."""

TIMEOUT = 60.0
"""Seconds after which the engine takes back a transaction that nobody ends."""

_FENCED = (foreign.ProducerFenced, foreign.InvalidProducerEpoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """How far a group has read, stored together with what it made of that.

    Args:
        group: the consumer group.
        offsets: the offset of the next record to be handled, by partition.
        metadata: what is stored beside each of them.
    """

    group: str
    offsets: Mapping[Place, int]
    metadata: str = ""


def boot_clock() -> float:
    """Return seconds that go on while this process, or all of the machine, is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Transactor(Startable):
    """Writes transactions under a transactional id, one at a time.

    Who starts last under an id is the one who may write: what an earlier one had under way is taken
    back or finished before `start` returns, and its next write raises `Fenced`.

    Args:
        kafka: how to reach the engine.
        transactional_id: what all share of whom only one may write at a time.
        largest_batch: bytes of the largest batch that the topics take (``max.message.bytes``).
        timeout: seconds after which the engine takes back what this transactor began and did not
            end, because its process hangs.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        transactional_id: str,
        *,
        largest_batch: int = LARGEST_BATCH,
        timeout: float = TIMEOUT,
    ) -> None:
        self._kafka, self._id, self._largest = kafka, transactional_id, largest_batch
        self._timeout = timeout
        self._engine: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect, and fence off whoever wrote under this id before.

        Raises:
            NotAuthorised: this needs Write on the transactional id.
            NotAuthenticated, BusUnavailable: the engine cannot be reached.
        """
        engine = AIOKafkaProducer(
            client_id=self._id,
            transactional_id=self._id,
            transaction_timeout_ms=int(self._timeout * 1000),
            acks="all",
            max_batch_size=self._largest,
            max_request_size=self._largest,
            retry_backoff_ms=50,
            **security(self._kafka),
        )
        try:
            await started(
                engine.start, self._kafka, right=f"Write on the transactional-id {self._id}"
            )
        except BaseException:
            await _stop(engine)
            raise
        self._engine = engine

    async def stop(self) -> None:
        """Close the connections; a transaction that is open is taken back."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await _stop(engine)

    async def write(
        self,
        records: Sequence[tuple[str, int, Record]],
        positions: Positions | None = None,
        *,
        valid_until: float | None = None,
    ) -> None:
        """Write records as one transaction; return once it is committed.

        Args:
            records: each with the topic and partition that it goes to; in order for each of them.
            positions: what is stored for a group in the same transaction.
            valid_until: seconds by `boot_clock` after which none of the records may count any
                more: they are taken back then, as where the process was stopped in between.

        Raises:
            Fenced: somebody else writes under this id by now; nothing was written.
            OutcomeUnknown: no clear answer in time; all of it may be written, or nothing.
            EventTooLarge, NotFound, NotAuthorised: nothing was written.
            BusUnavailable: likewise; the engine cannot be reached, or it took too long.
        """
        if self._engine is None:
            raise BusUnavailable("the transactor is not started", where=self._kafka.bootstrap)
        engine, committing = self._engine, False
        where = ", ".join(sorted({topic for topic, _, _ in records}))
        try:
            async with asyncio.timeout(ANSWER):
                await engine.begin_transaction()
                _attend(engine._txn_manager._transaction_waiter)  # noqa: SLF001
                await self._send(engine, records)
                if positions is not None:
                    await _store(engine, positions)
                # All of it is in the log by now, and was so before this moment.
                if valid_until is not None and boot_clock() > valid_until:
                    raise BusUnavailable("it took longer than it may count for", where=where)
                committing = True
                await engine.commit_transaction()
        except asyncio.CancelledError:
            await _take_back(engine)
            raise
        except BusUnavailable:
            await _take_back(engine)
            raise
        except _FENCED as error:
            raise Fenced("somebody else has begun after us", where=self._id) from error
        except (foreign.KafkaError, TimeoutError) as error:
            mine = self._ours(error, where)
            if not committing:
                await _take_back(engine)
            # Kafka answers that it does not know itself if somebody else begins just then.
            if committing and not isinstance(mine, NotAuthorised):
                mine = OutcomeUnknown(mine.what, where=mine.where)
            raise mine from error

    async def _send(self, engine: Any, records: Sequence[tuple[str, int, Record]]) -> None:
        """Send all records; return once each is acknowledged.

        A commit that came sooner would leave out what failed on its way (aiokafka's commits do not
        look at sends that nobody waits for).
        """
        under_way = []
        for place, batch in self._batches(records):
            future = await engine.send_batch(batch, place[0], partition=place[1])
            for one in engine._message_accumulator._batches.values():  # noqa: SLF001
                for waiting in one:
                    _attend(waiting._drain_waiter)  # noqa: SLF001
            _attend(future)
            under_way.append(asyncio.shield(future))
        await asyncio.gather(*under_way)

    def _batches(self, records: Sequence[tuple[str, int, Record]]) -> list[tuple[Place, Batch]]:
        """Return the batches that records make, none larger than the largest where it can be."""
        parts: dict[Place, list[list[bytes]]] = {}
        sizes: dict[Place, int] = {}
        for topic, partition, (key, value, headers) in records:
            data = packed(key, value, [header(*each) for each in headers])
            place = (topic, partition)
            there = parts.setdefault(place, [])
            if not there or sizes[place] + len(data) > self._largest // 2:
                there.append([])
                sizes[place] = 0
            there[-1].append(data)
            sizes[place] += len(data)
        now = int(time.time() * 1000)
        return [
            (place, Batch(part, now, transactional=True))
            for place, lists in parts.items()
            for part in lists
        ]

    def _ours(self, error: BaseException, where: str) -> BusError:
        return ours(error, where, self._kafka, f"Write on the topic {where}")


def _attend(future: "asyncio.Future[Any]") -> None:
    """Have a future's error looked at that aiokafka waits for only if all goes well."""
    future.add_done_callback(look)


async def _store(engine: Any, positions: Positions) -> None:
    offsets = {
        TopicPartition(*place): OffsetAndMetadata(offset, positions.metadata)
        for place, offset in positions.offsets.items()
    }
    await engine.send_offsets_to_transaction(offsets, positions.group)


async def _take_back(engine: Any) -> None:
    """End a transaction without a trace now, so that no reader waits until it has timed out."""
    try:
        async with asyncio.timeout(TAKING_BACK):
            await engine.abort_transaction()
    except (foreign.KafkaError, TimeoutError) as error:
        log.info("a transaction is left to the engine's time-out: %r", error)


async def _stop(engine: Any) -> None:
    """Close a producer; what it had open the engine takes back, at the latest when it times out."""
    stopping = asyncio.create_task(engine.stop())
    stopping.add_done_callback(look)
    done, _ = await asyncio.wait([stopping], timeout=CLOSING)
    if not done:
        log.warning("closed a producer whose transaction was never ended")
        await engine.client.close()
