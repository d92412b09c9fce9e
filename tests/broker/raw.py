"""Requests written by hand, for what no client would ever send."""

import asyncio
import io
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c
from kio.index import load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode
from kio.serial import entity_reader, entity_writer

from bus.broker import ApiKey, Broker
from bus.broker.wire import builder
from bus.settings import Address

TIME = (time.time_ns() // 3_600_000_000_000 - 2) * 3_600_000
"""Milliseconds since 1970: more than an hour ago, yet not so long that a default deletes it."""
DEADLINE = 20.0  # seconds, after which a test fails instead of hanging
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def batch(
    *values: bytes,
    codec: int = 0,
    producer: tuple[int, int, int] = (-1, -1, -1),
    times: tuple[int, ...] = (),
) -> bytes:
    """Return a record batch; producer is id, epoch and first sequence number."""
    producer_id, epoch, sequence = producer
    made = DefaultRecordBatchBuilder(2, codec, 0, producer_id, epoch, sequence, 2**24)
    for offset, value in enumerate(values):
        made.append(
            offset=offset,
            timestamp=times[offset] if times else TIME + offset,
            key=None,
            value=value,
            headers=[],
        )
    return bytes(made.build())


def wrapped(packed: bytes, count: int, codec: int = 0) -> bytes:
    """Return a batch with a true CRC around whatever bytes, that says it has so many records."""
    covered = struct.pack(">hiqqqhii", codec, count - 1, TIME, TIME, -1, -1, -1, count) + packed
    front = struct.pack(">qiibI", 0, 9 + len(covered), 0, 2, crc32c(covered))
    return front + covered


def frame(
    key: int, version: int, body: bytes, correlation: int = 7, *, tags: bool = False
) -> bytes:
    """Return a framed request with the client id "raw"."""
    header = struct.pack(">hhih", key, version, correlation, 3) + b"raw" + (b"\0" if tags else b"")
    return struct.pack(">i", len(header) + len(body)) + header + body


def request(key: int, version: int, fields: dict[str, Any]) -> bytes:
    """Return a framed request of these fields."""
    schema: Any = load_request_schema(key, version)
    body = io.BytesIO()
    entity_writer(schema)(body, builder(schema)(fields))
    return frame(key, version, body.getvalue(), tags=schema.__header_schema__.__version__ > 1)


class Raw:
    """A connection that sends what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, broker: Broker | Address) -> Self:
        """Connect to a broker."""
        address = broker.address if isinstance(broker, Broker) else broker
        return cls(*await asyncio.open_connection(address.host, address.port, limit=2**24))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # A close in order would wait for what the broker never reads, and in TLS for its part.
        self.writer.transport.abort()
        with suppress(ConnectionError):  # the broker was quicker
            await self.writer.wait_closed()

    async def answer(self) -> bytes:
        """Return the next answer without its size; empty if the connection was closed."""
        try:
            async with asyncio.timeout(DEADLINE):
                (size,) = struct.unpack(">i", await self.reader.readexactly(4))
                return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    def send(self, key: int, version: int, /, **fields: Any) -> None:
        """Send a request and do not wait."""
        self.writer.write(request(key, version, fields))

    async def ask(self, key: int, version: int, /, **fields: Any) -> Any:
        """Send a request and return what it is answered."""
        self.send(key, version, **fields)
        return self.read(key, version, await self.answer())

    @staticmethod
    def read(key: int, version: int, answer: bytes) -> Any:
        """Read an answer, all of it."""
        assert answer, "the connection was closed"
        schema: Any = load_response_schema(key, version)
        start = 5 if schema.__header_schema__.__version__ > 0 else 4
        body, size = entity_reader(schema)(answer, start)
        assert start + size == len(answer)
        return body

    async def create(self, name: str, partitions: int = 1, **configs: str) -> Any:
        """Make a topic."""
        answer = await self.ask(
            ApiKey.CREATE_TOPICS,
            5,
            topics=[topic(name, partitions, configs)],
            timeout=1000,
            validate_only=False,
        )
        return answer.topics[0]

    async def made(self, name: str, partitions: int = 1, **configs: str) -> None:
        """Make a topic, and return once all its partitions can be read and written."""
        made = await self.create(name, partitions, **configs)
        assert made.error_code is ErrorCode.none, made.error_message
        await self.usable(name, partitions)

    async def usable(self, name: str, partitions: int = 1) -> None:
        """Return once a topic has so many partitions that can be read and written.

        A topic that is made is known at once, its partitions are led only a little later.
        """
        asked = [
            {"partition_index": index, "current_leader_epoch": -1, "timestamp": -1}
            for index in range(partitions)
        ]
        async with asyncio.timeout(DEADLINE):
            while True:  # each look is a request of its own
                answer = await self.ask(
                    ApiKey.LIST_OFFSETS,
                    7,
                    replica_id=-1,
                    isolation_level=0,
                    topics=[{"name": name, "partitions": asked}],
                )
                found = answer.topics[0].partitions
                if all(one.error_code is ErrorCode.none for one in found):
                    return

    async def produce(
        self,
        name: str,
        records: bytes | None,
        *,
        partition: int = 0,
        version: int = 9,
        acks: int = -1,
    ) -> Any:
        """Write a batch and return its part of the answer."""
        answer = await self.ask(
            ApiKey.PRODUCE, version, **produce_fields(name, records, partition, acks)
        )
        return answer.responses[0].partition_responses[0]

    async def fetch(self, name: str, offset: int, **more: Any) -> Any:
        """Read a partition and return its part of the answer."""
        answer = await self.ask(ApiKey.FETCH, 11, **fetch_fields(name, offset, **more))
        return answer.responses[0].partitions[0]


def topic(
    name: str, partitions: int = 1, configs: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return a topic as CreateTopics wants it; underscores in config names stand for dots."""
    given = (configs or {}).items()
    return {
        "name": name,
        "num_partitions": partitions,
        "replication_factor": 1,
        "assignments": [],
        "configs": [{"name": key.replace("_", "."), "value": value} for key, value in given],
    }


def produce_fields(
    name: str, records: bytes | None, partition: int = 0, acks: int = -1
) -> dict[str, Any]:
    """Return a Produce request of one batch."""
    return {
        "transactional_id": None,
        "acks": acks,
        "timeout": 1000,
        "topic_data": [
            {"name": name, "partition_data": [{"index": partition, "records": records}]}
        ],
    }


def fetch_fields(
    name: str,
    offset: int,
    *,
    partition: int = 0,
    max_wait: int = 0,
    min_bytes: int = 1,
    max_bytes: int = 2**20,
    epoch: int = -1,
    session: int = 0,
) -> dict[str, Any]:
    """Return a Fetch request for one partition."""
    return {
        "max_wait": max_wait,
        "min_bytes": min_bytes,
        "max_bytes": max_bytes,
        "isolation_level": 0,
        "session_id": session,
        "session_epoch": 1 if session else -1,
        "topics": [
            {
                "topic": name,
                "partitions": [
                    {
                        "partition": partition,
                        "current_leader_epoch": epoch,
                        "fetch_offset": offset,
                        "log_start_offset": -1,
                        "partition_max_bytes": max_bytes,
                    }
                ],
            }
        ],
        "forgotten_topics_data": [],
        "rack_id": "",
    }
