"""Stores that a real broker filled, for what is done with them while it is stopped."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from bus.broker import ApiKey, Broker
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import CODECS, Raw, batch

LOCAL = Address(host="127.0.0.1", port=0)
UNPACKED = 16 * 2**20


def made(data: Path, **more: object) -> Broker:
    """Return a broker on a free port that is not started."""
    settings = BrokerSettings.model_validate({"listen": LOCAL, **more})
    return Broker(settings, data, Telemetry())


def committed(name: str, offset: int, group: str = "g") -> dict[str, object]:
    """Return an OffsetCommit request of somebody who is in no group."""
    part = {
        "partition_index": 0,
        "committed_offset": offset,
        "committed_leader_epoch": -1,
        "committed_metadata": "",
    }
    return {
        "group_id": group,
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "group_instance_id": None,
        "topics": [{"name": name, "partitions": [part]}],
    }


async def fill(raw: Raw) -> None:
    """Write two topics with every codec and an idempotent producer, and commit a position."""
    await raw.create("t", 2)
    await raw.create("u")
    for number, codec in enumerate(CODECS.values()):
        await raw.produce("t", batch(b"a" * 100, b"b", b"c", codec=codec))
        await raw.produce("t", batch(b"x" * 3000, producer=(1000, 0, number)), partition=1)
    await raw.produce("u", batch(b"only"))
    await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("t", 4))


RECORDS = 5 * 3 + 5 + 1


async def filled(data: Path) -> Path:
    """Return the database of a broker that was filled and stopped."""
    async with made(data) as broker, await Raw.to(broker) as raw:
        await fill(raw)
    return data / "broker.db"


def change(database: Path, *statements: str) -> None:
    """Change a stopped store behind its broker's back."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0
        connection.execute("pragma wal_checkpoint(truncate)")


def contents(folder: Path) -> dict[str, str]:
    """Return the digest of every file in a folder."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
