"""Writing: acknowledged by all, idempotent, in order per partition, bounded in time."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as foreign

from bus.errors import (
    BusError,
    BusUnavailable,
    EventTooLarge,
    NotFound,
    OutcomeUnknown,
    StorageFull,
)
from bus.kafka.connection import CLOSING, Causes, Topics, look, ours, security, sentence, started
from bus.kafka.pack import Batch, header, packed
from bus.kafka.records import LARGEST_BATCH, Place, Record
from bus.settings import KafkaSettings
from bus.startable import Startable

log = logging.getLogger(__name__)

RECORDS_PER_PRODUCER = 2**30
"""aiokafka's sequence numbers wrap to a negative number, Kafka's to 0: stop well before."""

LEADERS_SHARE = 0.8
"""Of the time for an answer, what a leader may wait for its replicas: it can say so in time."""

Records = Sequence[Record] | Sequence[bytes]
"""One batch's records, or their bytes as `bus.kafka.pack.packed` returns them."""

_TOO_FEW = "fewer replicas are in sync than the topic asks for (min.insync.replicas)"
_NO_LEADER = "the partition has no leader just now"

_ANSWERS: dict[type[BaseException], str] = {
    foreign.NotEnoughReplicasError: _TOO_FEW,
    foreign.NotEnoughReplicasAfterAppendError: _TOO_FEW,
    foreign.RequestTimedOutError: "its leader waits for other replicas, and too few confirm",
    foreign.LeaderNotAvailableError: _NO_LEADER,
    foreign.NotLeaderForPartitionError: _NO_LEADER,
}
"""What a leader's answer means to who waits for an acknowledgement."""


class _Sent(NamedTuple):
    records: Records
    future: "asyncio.Future[Any]"


class Producer(Startable):
    """Writes batches: acks=all, idempotent, in order per partition, bounded in time.

    One batch is in flight per partition; different partitions go side by side.

    Args:
        kafka: how to reach the engine.
        client_id: what the engine calls this client in its logs.
        largest_batch: bytes of the largest batch that the topics take (``max.message.bytes``).
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        client_id: str = "stadtbus",
        largest_batch: int = LARGEST_BATCH,
    ) -> None:
        self._largest = largest_batch
        self._kafka, self._client_id = kafka, client_id
        self._metadata = Topics(kafka)
        self._engine: AIOKafkaProducer | None = None
        self._written = 0
        self._causes = Causes()
        self._starting = asyncio.Lock()
        self._order: dict[Place, asyncio.Lock] = {}
        self._unsettled: dict[Place, _Sent] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            BusUnavailable: no broker answers.
            NotAuthenticated: the engine does not accept the credentials.
        """
        self._causes.attach()
        try:
            await self._ready()
        except BusError:
            self._causes.detach()
            raise

    async def stop(self) -> None:
        """Wait a little for what is in flight, then close."""
        self._retire(self._engine)
        if self._retiring:
            await asyncio.wait(self._retiring)
        self._causes.detach()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            NotFound: the topic does not exist.
            BusUnavailable: no broker answers.
        """
        engine = await self._ready()
        return await self._metadata.count(engine.client, topic)

    async def append(
        self, topic: str, partition: int, records: Records, *, timeout: float = 30.0
    ) -> int:
        """Write one batch and return the offset of its first record.

        The offset is no identity: after a repeated send the engine may not know it any more, and
        answers -1. Calling again with the very same records after `OutcomeUnknown` waits for the
        batch that is still on its way instead of writing it twice.

        Args:
            topic: where to write; it has to exist.
            partition: which partition of it.
            records: one batch; at least one record, at most ``largest_batch`` bytes.
            timeout: seconds after which the outcome counts as unknown.

        Raises:
            OutcomeUnknown: no answer in time; the batch may still be written.
            StorageFull: the engine has no space; the batch is written once there is some.
            BusUnavailable: nothing of this batch was written, and it may be tried again.
            EventTooLarge: the batch is above the limit.
            NotFound, NotAuthorised: the topic is not there, or not for us.
        """
        place = (topic, partition)
        lock = self._order.setdefault(place, asyncio.Lock())
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except TimeoutError:
            raise self._not_sent(place) from None
        try:
            future = await self._submit(place, records, deadline)
            return await self._settle(place, future, deadline)
        finally:
            lock.release()

    async def _submit(
        self, place: Place, records: Records, deadline: float
    ) -> "asyncio.Future[Any]":
        """Hand a batch to aiokafka once all before it on this partition are settled."""
        earlier = self._unsettled.get(place)
        if earlier is not None:
            if earlier.records is records:
                return earlier.future
            await self._until(earlier.future, deadline)
            if not earlier.future.done():
                raise self._not_sent(place)
            del self._unsettled[place]
        try:
            async with asyncio.timeout_at(deadline):
                future = await self._send(place, records)
        except TimeoutError:
            raise self._not_sent(place) from None
        self._unsettled[place] = _Sent(records, future)
        future.add_done_callback(look)
        return future

    async def _send(self, place: Place, records: Records) -> "asyncio.Future[Any]":
        topic, partition = place
        engine = await self._ready()
        count = await self._metadata.count(engine.client, topic)
        if not 0 <= partition < count:
            raise NotFound(f"partition {partition} of {count} does not exist", where=topic)
        batch = Batch([_bytes_of(record) for record in records], int(time.time() * 1000))
        if batch.size() > self._largest:
            raise self._too_large(topic, len(records))
        self._written += len(records)
        try:
            future: asyncio.Future[Any] = await engine.send_batch(batch, topic, partition=partition)
        except foreign.KafkaError as error:
            self._retire(engine)
            raise self._ours(error, topic, topic) from error
        if self._written >= RECORDS_PER_PRODUCER:
            self._retire(engine)
        return future

    async def _settle(self, place: Place, future: "asyncio.Future[Any]", deadline: float) -> int:
        engine = self._engine
        await self._until(future, deadline)
        if not future.done():
            raise self._unknown(place)
        del self._unsettled[place]
        self._causes.by_place.pop(place, None)
        self._causes.last = None
        error = future.exception()
        if error is not None:
            # aiokafka spends sequence numbers before the broker takes them: after a batch that
            # failed it could never write to this partition again.
            self._retire(engine)
            mine = self._ours(error, place[0], f"{place[0]}-{place[1]}")
            if isinstance(mine, BusUnavailable):
                # An attempt before the last one may have been written.
                mine = OutcomeUnknown(mine.what, where=mine.where)
            raise mine from error
        return int(future.result().offset)

    def _ours(self, error: BaseException, topic: str, where: str) -> BusError:
        return ours(error, where, self._kafka, f"Write on the topic {topic}")

    async def _until(self, future: "asyncio.Future[Any]", deadline: float) -> None:
        """Wait without cancelling: a batch that was handed over cannot be taken back."""
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait([future], timeout=max(left, 0))

    async def _ready(self) -> AIOKafkaProducer:
        """Return the aiokafka producer in use, made anew if the last one was given up."""
        async with self._starting:
            if self._engine is None:
                engine = AIOKafkaProducer(
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=self._largest,
                    max_request_size=self._largest,
                    retry_backoff_ms=50,
                    **security(self._kafka),
                )
                # aiokafka leaves a leader as much time as it waits itself, and so hangs up on it
                # just before it would hear what is missing.
                share = int(self._kafka.answer_seconds * 1000 * LEADERS_SHARE)
                engine._sender._request_timeout_ms = share  # noqa: SLF001
                try:
                    await started(engine.start, self._kafka, self._causes)
                except BaseException:
                    await engine.stop()
                    raise
                self._engine, self._written = engine, 0
            return self._engine

    def _retire(self, engine: AIOKafkaProducer | None) -> None:
        """Let a producer finish in the background; the next batch gets a new one."""
        if engine is None or engine is not self._engine:
            return
        self._engine = None
        task = asyncio.create_task(_close(engine))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _unknown(self, place: Place) -> BusUnavailable:
        answer = self._causes.by_place.get(place)
        where = f"{place[0]}-{place[1]} at {self._kafka.bootstrap}"
        if isinstance(answer, foreign.KafkaStorageError):
            return StorageFull("the engine cannot store events now", where=where)
        if answer is None:
            reason = self._silent(place)
        else:
            reason = _ANSWERS.get(type(answer)) or sentence(answer)
        return OutcomeUnknown(f"no acknowledgement came in time: {reason}", where=where)

    def _silent(self, place: Place) -> str:
        """Return why a partition's leader has answered nothing."""
        last = f" ({self._causes.last})" if self._causes.last is not None else ""
        if self._engine is None:
            return f"there is no connection{last}"
        cluster = self._engine.client.cluster
        leader = cluster.leader_for_partition(TopicPartition(*place))
        broker = None if leader is None else cluster.broker_metadata(leader)
        if broker is None:
            return "the partition has no leader"
        return f"its leader, {broker.host}:{broker.port}, does not answer{last}"

    def _not_sent(self, place: Place) -> BusUnavailable:
        earlier = self._unknown(place)
        return BusUnavailable(
            f"nothing was sent, as an earlier batch is still without an answer: {earlier.what}",
            where=earlier.where,
        )

    def _too_large(self, topic: str, count: int) -> EventTooLarge:
        return EventTooLarge(
            f"the event is above {self._largest} bytes"
            if count == 1
            else f"a batch of {count} events is above {self._largest} bytes",
            where=topic,
        )


def _bytes_of(record: Record | bytes) -> bytes:
    if isinstance(record, bytes):
        return record
    key, value, headers = record
    return packed(key, value, [header(*each) for each in headers])


async def _close(engine: AIOKafkaProducer) -> None:
    """Stop a producer within `CLOSING` seconds, even if the engine never answers again."""
    try:
        await asyncio.wait_for(engine.stop(), CLOSING)
    except TimeoutError:
        log.warning("closed a producer whose last batches were never acknowledged")
        sending = engine._sender.sender_task  # noqa: SLF001
        if sending is not None:
            # It would tell a transaction of its end, and there is none; all batches fail below.
            sending.remove_done_callback(engine._sender._fail_all)  # noqa: SLF001
        await engine.client.close()
        # Its own stop waits without limit for batches that the engine no longer answers.
        engine._message_accumulator.fail_all(foreign.ProducerClosed())  # noqa: SLF001
        if sending is not None:
            sending.cancel()
            sending.add_done_callback(look)
            await asyncio.wait([sending], timeout=CLOSING)
