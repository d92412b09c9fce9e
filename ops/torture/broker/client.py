"""A client that sends exactly what it is told, and notices when nobody answers any more."""

import asyncio
import io
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from bus.broker.wire import builder
from bus.settings import Address

_HEADER = struct.Struct(">hhih")
_SIZE = struct.Struct(">i")
_ANSWERED = 20.0  # seconds
_CONNECTED = 60.0  # seconds


class Lost(Exception):
    """The connection has gone; what was asked may have been done or not."""


class Client:
    """One connection.

    Args:
        reader: where answers come from.
        writer: where requests go.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, where: Callable[[], Address]) -> Self:
        """Connect, as soon as somebody listens.

        Raises:
            TimeoutError: nobody does for a minute.
        """
        async with asyncio.timeout(_CONNECTED):
            while True:
                address = where()
                with suppress(OSError):
                    return cls(*await asyncio.open_connection(address.host, address.port))
                await asyncio.sleep(0.01)

    def close(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    def send(self, key: int, version: int, /, **fields: Any) -> None:
        """Send a request and do not wait."""
        self._writer.write(request(key, version, fields))

    async def answer(self, key: int, version: int) -> Any:
        """Return the next answer.

        Raises:
            Lost: there is none.
        """
        try:
            async with asyncio.timeout(_ANSWERED):
                (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
                data = await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Lost(str(error)) from error
        schema: Any = load_response_schema(key, version)
        start = 5 if schema.__header_schema__.__version__ > 0 else 4
        return entity_reader(schema)(data, start)[0]

    async def ask(self, key: int, version: int, /, **fields: Any) -> Any:
        """Send a request and return its answer.

        Raises:
            Lost: there is none.
        """
        self.send(key, version, **fields)
        return await self.answer(key, version)


def request(key: int, version: int, fields: dict[str, Any]) -> bytes:
    """Return a framed request."""
    schema: Any = load_request_schema(key, version)
    body = io.BytesIO()
    entity_writer(schema)(body, builder(schema)(fields))
    tags = b"\0" if schema.__header_schema__.__version__ > 1 else b""
    data = _HEADER.pack(key, version, 1, 7) + b"torture" + tags + body.getvalue()
    return _SIZE.pack(len(data)) + data


def batch(
    *values: bytes,
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
    codec: int = 0,
    time: int = 1_700_000_000_000,
) -> bytes:
    """Return a record batch; `producer` is id, epoch and first sequence number."""
    made = DefaultRecordBatchBuilder(2, codec, int(transactional), *producer, 2**24)
    for offset, value in enumerate(values):
        made.append(offset=offset, timestamp=time, key=None, value=value, headers=[])
    return bytes(made.build())


def creation(topic: str, partitions: int) -> dict[str, Any]:
    """Return a CreateTopics request's fields; the topic's records stay for ever."""
    made = {
        "name": topic,
        "num_partitions": partitions,
        "replication_factor": 1,
        "assignments": [],
        "configs": [{"name": "retention.ms", "value": "-1"}],
    }
    return {"topics": [made], "timeout": 1000, "validate_only": False}


def produce(
    topic: str, batches: dict[int, bytes], *, transaction: str | None = None
) -> dict[str, Any]:
    """Return a Produce request's fields: a batch for each partition."""
    parts = [{"index": index, "records": records} for index, records in batches.items()]
    return {
        "transactional_id": transaction,
        "acks": -1,
        "timeout": 1000,
        "topic_data": [{"name": topic, "partition_data": parts}],
    }
