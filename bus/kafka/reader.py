"""Reading partitions from positions."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as foreign
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from bus.errors import BusError
from bus.kafka.client import Client
from bus.kafka.connection import Topics, ours, reach
from bus.kafka.records import FETCH_BYTES, Fetched, Place, check_order, fetched
from bus.kafka.unpack import unpack
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

EARLIEST, LATEST = -2, -1


class LogReader(Client):
    """Reads partitions from positions, without a group and without reading ahead."""

    def __init__(self, kafka: KafkaSettings, *, client_id: str = "stadtbus") -> None:
        super().__init__(kafka, client_id=client_id)
        self._metadata = Topics(kafka)

    async def exists(self, topic: str) -> bool:
        """Whether a topic is there, without waiting for one that was made a moment ago.

        Raises:
            BusUnavailable: no broker answers.
        """
        return await self._metadata.exists(self._use(), topic)

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """Return the first and the end offset of every partition; the end is the next offset.

        Raises:
            NotFound: the topic does not exist.
            BusUnavailable: its leaders cannot be reached.
        """
        partitions = range(await self._metadata.count(self._use(), topic))
        first = await self._offsets(topic, partitions, EARLIEST)
        end = await self._offsets(topic, partitions, LATEST)
        return {p: (first[p], end[p]) for p in partitions}

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the offset of the first record at or after a time; None if there is none."""
        offset = await self._offset(topic, partition, timestamp_ms)
        return None if offset < 0 else offset

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float = 0.5
    ) -> list[Fetched]:
        """Return committed records from an offset on; none if none came in ``max_wait`` seconds.

        Raises:
            PositionLost: the offset is outside what the partition holds.
            NotFound: the topic does not exist.
            BusUnavailable: the leader cannot be reached.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + max_wait
        while True:
            left = max(deadline - clock(), 0)
            records, following = await self._fetch(topic, partition, offset, left)
            if records or (following == offset and clock() >= deadline):
                return records
            offset = following

    async def _fetch(
        self, topic: str, partition: int, offset: int, max_wait: float
    ) -> tuple[list[Fetched], int]:
        """Return one answer's records, and the offset that follows it."""
        request = FetchRequest(
            int(max_wait * 1000),
            1,
            FETCH_BYTES,
            READ_COMMITTED,
            [(topic, [(partition, offset, FETCH_BYTES)])],
        )
        answer, version = await self._ask(topic, partition, request)
        aborted = withdrawn(answer, version)
        return taken_apart((topic, partition), answer[-1] or b"", offset, aborted)

    async def _offsets(
        self, topic: str, partitions: Sequence[int], timestamp_ms: int
    ) -> dict[int, int]:
        """Ask each leader once; for what is not answered, ask by partition until it is."""
        by_leader = await self._by_leader(topic, partitions)
        asked = (self._answered(topic, *item, timestamp_ms) for item in by_leader.items())
        found = {p: offset for answer in await asyncio.gather(*asked) for p, offset in answer}
        missing = [p for p in partitions if p not in found]
        again = await asyncio.gather(*(self._offset(topic, p, timestamp_ms) for p in missing))
        return found | dict(zip(missing, again, strict=True))

    async def _by_leader(self, topic: str, partitions: Sequence[int]) -> dict[int, list[int]]:
        client = self._use()
        await client.add_topic(topic)  # asks for its leaders the first time
        by_leader: dict[int, list[int]] = {}
        for partition in partitions:
            leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is not None and leader != -1:
                by_leader.setdefault(leader, []).append(partition)
        return by_leader

    async def _answered(
        self, topic: str, leader: int, partitions: Sequence[int], timestamp_ms: int
    ) -> list[tuple[int, int]]:
        """Return the partitions that a leader has an answer for, with their offsets."""
        wanted = [(topic, [(partition, timestamp_ms) for partition in partitions])]
        try:
            response = await self._send(leader, OffsetRequest(-1, READ_COMMITTED, wanted))
        except foreign.KafkaError as error:
            log.debug("%s: leader %d has no answer: %r", topic, leader, error)
            return []
        return [
            (partition, offset)
            for _, answers in response.topics
            for partition, code, _, offset in answers
            if foreign.for_code(code) is foreign.NoError
        ]

    async def _offset(self, topic: str, partition: int, timestamp_ms: int) -> int:
        request = OffsetRequest(-1, READ_COMMITTED, [(topic, [(partition, timestamp_ms)])])
        answer, _ = await self._ask(topic, partition, request)
        return int(answer[3])

    async def _ask(self, topic: str, partition: int, request: Any) -> tuple[Any, int]:
        """Send a request to a partition's leader until it answers, and return its partition."""
        client = self._use()
        await self._metadata.count(client, topic)
        error: BaseException = foreign.LeaderNotAvailableError()
        deadline = asyncio.get_running_loop().time() + reach(self._kafka)
        while asyncio.get_running_loop().time() < deadline:
            leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is None or leader == -1:
                client.add_topic(topic)
                await client.force_metadata_update()
                leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
            if leader is not None and leader != -1:
                try:
                    response = await self._send(leader, request)
                    answer = response.topics[0][1][0]
                    kind = foreign.for_code(answer[1])
                    if kind is foreign.NoError:
                        return answer, response.API_VERSION
                    error = kind()
                except foreign.KafkaError as failure:
                    error = failure
                if not getattr(error, "retriable", False):
                    raise self._ours(error, topic, f"{topic}-{partition}") from error
                # Waited for: a leader that hangs would only be asked once more meanwhile.
                await client.force_metadata_update()
            await asyncio.sleep(0.05)
        where = f"{topic}-{partition} at {self._kafka.bootstrap}"
        raise self._ours(error, topic, where) from error

    def _ours(self, error: foreign.KafkaError, topic: str, where: str) -> BusError:
        return ours(error, where, self._kafka, f"Read on the topic {topic}")

    async def _send(self, leader: int, request: Any) -> Any:
        client = self._use()
        try:
            return await client.send(leader, request)
        except asyncio.CancelledError:
            # Whoever would not wait any longer comes back, and shall not meet a leader that hangs
            # once more: by then another one may lead.
            client.force_metadata_update()
            raise


def withdrawn(answer: Sequence[Any], version: int) -> Any:
    """Return which transactions were taken back, from a partition's part of a fetch's answer.

    It stands before the records; since version 11 the preferred replica stands in between.
    """
    return answer[-3 if version >= 11 else -2]


def taken_apart(place: Place, data: bytes, offset: int, aborted: Any) -> tuple[list[Fetched], int]:
    """Return the committed records of fetched batches from an offset on, and what follows them.

    Args:
        place: the partition that the batches come from.
        data: whole batches; the last one may be cut off.
        offset: records before it are left out.
        aborted: producer ids and first offsets of transactions that were taken back.

    Raises:
        BusUnavailable: the first batch was damaged after it was written.
    """
    try:
        return _decoded(place, data, offset, aborted)
    except Exception as error:  # the bytes may be anything, and so may what is raised for them
        log.info("%s-%d from %d on is read with care: %r", *place, offset, error)
        return unpack(place, data, offset, aborted or ())


def _decoded(place: Place, data: bytes, offset: int, aborted: Any) -> tuple[list[Fetched], int]:
    """Return the records of fetched batches as aiokafka decodes them, and the offset after them."""
    # Records that a transaction took back are left out: who reads sees what was committed.
    parts = PartitionRecords(
        TopicPartition(*place),
        MemoryRecords(data),
        aborted,
        offset,
        None,
        None,
        True,
        READ_COMMITTED,
    )
    records = [fetched(record) for record in parts]
    check_order(records, parts.next_fetch_offset)
    return records, parts.next_fetch_offset
