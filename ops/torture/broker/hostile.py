"""Bytes that nobody sends on purpose: requests of every API and version with some bytes changed."""

import asyncio
import dataclasses
import random
import resource
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from crc32c import crc32c
from kio.index import load_request_schema
from kio.schema.errors import ErrorCode

from bus.broker.apis import APIS
from bus.broker.batch import BadBatch, check
from bus.broker.keys import ApiKey
from bus.broker.records import check_inside
from bus.broker.wire import PREFIX, MalformedRequest, read_request
from ops.torture.broker.client import Client, Lost, batch, produce, request
from ops.torture.broker.load import TOPIC
from ops.torture.broker.opened import prepared
from ops.torture.broker.victim import Victims

MOST_MEMORY = 256 * 2**20
"""Bytes that a process may grow by: far below what a lying length of four bytes can ask for."""

MOST_SECONDS = 2.0
"""For one request or batch, and for another client's request meanwhile."""

_EXAMPLES = 8  # of each API and version
_AT_ONCE = 20  # frames of one connection
_UNPACKED = 2**20


def served() -> list[tuple[ApiKey, int]]:
    """Return every API with every version that is served."""
    return [(key, v) for key, api in APIS.items() for v in range(api.lowest, api.highest + 1)]


def example(schema: Any, chance: random.Random) -> dict[str, Any]:
    """Return fields for a message, of the right kinds and otherwise as it comes."""
    return {field.name: _value(field, field.type, chance) for field in dataclasses.fields(schema)}


def _value(field: Any, kind: Any, chance: random.Random) -> Any:
    if isinstance(kind, UnionType):
        if chance.random() < 0.2:
            return None
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is tuple:
        return [_value(field, get_args(kind)[0], chance) for _ in range(chance.randrange(3))]
    if dataclasses.is_dataclass(kind):
        return example(kind, chance)
    if field.metadata["kafka_type"].startswith("timedelta"):
        return chance.choice([0, 1, 100])
    if kind is uuid.UUID:
        return uuid.UUID(int=chance.randrange(3))
    if kind is bool:
        return chance.random() < 0.5
    if issubclass(kind, str):
        return chance.choice(["", "u", "g", "1", "zürich"])
    if issubclass(kind, bytes):
        return chance.choice([b"", batch(b"x"), batch(b"x" * 100, codec=1)])
    return chance.choice([-1, 0, 1, 2])


def damaged(chance: random.Random, whole: bytes) -> bytes:
    """Return a frame with some of its bytes changed, left out or put in, its size made good."""
    body = _changed(chance, whole[4:], PREFIX.size // 2)
    return struct.pack(">i", len(body)) + body


def _changed(chance: random.Random, whole: bytes, start: int) -> bytes:
    body = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(start, len(body)) if len(body) > start + 1 else start
        match chance.randrange(5):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                body[at : at + 4] = struct.pack(">i", chance.choice([-1, -2, 2**31 - 1, 2**16]))
            case 2:
                body[at : at + 5] = b"\xff\xff\xff\xff" + bytes([chance.choice([7, 15, 255])])
            case 3:
                del body[at : at + chance.randrange(1, 9)]
            case _:
                body[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What became of hostile bytes in the parser.

    Attributes:
        tried: how many requests and batches.
        accepted: how many of them are well-formed all the same.
        slowest: seconds that the slowest took.
        memory: bytes that the process grew by.
        breaches: what went wrong.
    """

    tried: int
    accepted: int
    slowest: float
    memory: int
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.tried} requests and batches through the parser, {self.accepted} of them "
            f"well-formed; the slowest {self.slowest * 1000:.0f} ms, "
            f"{self.memory / 2**20:.0f} MiB more memory, {len(self.breaches)} promises broken"
        )


def parse(seed: int, tries: int) -> Parsed:
    """Give damaged requests and batches to what reads them.

    Args:
        seed: settles them.
        tries: how many, half of them batches.
    """
    chance = random.Random(seed)
    whole = frames(chance)
    batches = [whole_batch(chance) for _ in range(100)]
    before, slowest, accepted = _memory(), 0.0, 0
    breaches: list[str] = []
    for number in range(tries):
        read: Callable[[bytes], bool]
        if number % 2:
            read, data = is_request, damaged(chance, chance.choice(whole))[4:]
        else:
            read, data = is_batch, _resealed(chance, chance.choice(batches))
        started = time.perf_counter()
        try:
            accepted += read(data)
        except Exception as error:  # whatever it is, it is not a refusal
            breaches.append(f"seed {seed}, {number}: {error!r}: {data.hex()}")
        slowest = max(slowest, time.perf_counter() - started)
    grown = _memory() - before
    if slowest > MOST_SECONDS:
        breaches.append(f"seed {seed}: the slowest took {slowest:.1f} s")
    if grown > MOST_MEMORY:
        breaches.append(f"seed {seed}: it took {grown} bytes of memory")
    return Parsed(
        tried=tries, accepted=accepted, slowest=slowest, memory=grown, breaches=tuple(breaches)
    )


def frames(chance: random.Random) -> Sequence[bytes]:
    """Return whole requests of every API and version, each with its size in front."""
    return [
        request(key, version, example(load_request_schema(key, version), chance))
        for key, version in served()
        for _ in range(_EXAMPLES)
    ]


def whole_batch(chance: random.Random) -> bytes:
    """Return a batch of a few records."""
    values = [chance.randbytes(chance.randrange(200)) for _ in range(chance.randrange(1, 5))]
    return batch(*values, producer=(5, 0, 0), codec=chance.randrange(5))


def _resealed(chance: random.Random, whole: bytes) -> bytes:
    """Return a changed batch, whose length and checksum are often right all the same."""
    changed = bytearray(_changed(chance, whole, 0))
    if len(changed) > 61 and chance.random() < 0.9:
        changed[:8], changed[16] = bytes(8), 2
        struct.pack_into(">i", changed, 8, len(changed) - 12)
        changed[17:21] = crc32c(bytes(changed[21:])).to_bytes(4, "big")
    return bytes(changed)


def is_request(frame: bytes) -> bool:
    """Whether it is read as a request; anything but a refusal is raised."""
    if len(frame) < PREFIX.size:
        return False
    number, version, correlation = PREFIX.unpack_from(frame)
    api = APIS.get(number)
    if api is None or not api.lowest <= version <= api.highest:
        return False
    try:
        read_request(frame, ApiKey(number), version, correlation)
    except MalformedRequest:
        return False
    return True


def is_batch(data: bytes) -> bool:
    """Whether it would be stored; anything but a refusal is raised."""
    try:
        check_inside(data, check(data, version=9, limit=_UNPACKED), limit=_UNPACKED, keyed=False)
    except BadBatch:
        return False
    return True


def _memory() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of hostile bytes that were sent to a broker.

    Attributes:
        sent: how many requests.
        p50, p99: seconds that another client's requests took meanwhile.
        memory: bytes that the broker grew by.
        breaches: what went wrong.
    """

    sent: int
    p50: float
    p99: float
    memory: int
    breaches: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.sent} requests through a socket; another client waited {self.p50 * 1000:.1f} "
            f"ms (p50) and {self.p99 * 1000:.1f} ms (p99), {self.memory / 2**20:.0f} MiB more "
            f"memory, {len(self.breaches)} promises broken"
        )


async def send(data: Path, seed: int, tries: int) -> Answered:
    """Send damaged requests to a broker, while another client writes and reads.

    Args:
        data: an empty folder.
        seed: settles them.
        tries: how many.
    """
    chance = random.Random(seed)
    whole = frames(chance)
    async with Victims(data) as victim:
        await prepared(lambda: victim.address)
        before = victim.memory()
        stop = asyncio.Event()
        other = asyncio.create_task(_other(victim, stop))
        try:
            for _ in range(0, tries, _AT_ONCE):
                some = [damaged(chance, chance.choice(whole)) for _ in range(_AT_ONCE)]
                await _attack(victim, some)
        finally:
            stop.set()
        waited, breaches = await other
        grown = victim.memory() - before
        if "unexpected" in victim.logged():
            breaches.append(victim.logged()[victim.logged().index("unexpected") :][:2000])
    if grown > MOST_MEMORY:
        breaches.append(f"it took {grown} bytes of memory")
    waited.sort()
    return Answered(
        sent=tries,
        p50=waited[len(waited) // 2],
        p99=waited[len(waited) * 99 // 100],
        memory=grown,
        breaches=tuple(f"seed {seed}: {one}" for one in breaches),
    )


async def _attack(victim: Victims, frames: Sequence[bytes]) -> None:
    """Send some requests on a connection, and go before all of them are answered."""
    reader, writer = await asyncio.open_connection(victim.address.host, victim.address.port)
    with suppress(ConnectionError):
        writer.write(b"".join(frames))
        await writer.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                while await reader.read(2**16):
                    pass
    writer.transport.abort()


async def _other(victim: Victims, stop: asyncio.Event) -> tuple[list[float], list[str]]:
    """Write one record after the other, and say how long each took and what went wrong."""
    waited: list[float] = []
    client = await Client.to(lambda: victim.address)
    try:
        for number in count():
            if stop.is_set():
                return waited, []
            started = time.perf_counter()
            data = batch(b"%d" % number)
            answer = await client.ask(ApiKey.PRODUCE, 9, **produce(TOPIC, {0: data}))
            part = answer.responses[0].partition_responses[0]
            waited.append(time.perf_counter() - started)
            if (part.error_code, part.base_offset) != (ErrorCode.none, number):
                return waited, [f"another client's record {number} was not stored: {part}"]
            if waited[-1] > MOST_SECONDS:
                return waited, [f"another client waited {waited[-1]:.1f} s"]
    except (OSError, Lost) as error:
        return [*waited, 0.0], [f"another client was cut off: {error}"]
    finally:
        client.close()
    raise AssertionError("numbers do not end")
