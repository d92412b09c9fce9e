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


def tables(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a database holds, and what it says of itself."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
        named = [n for (n,) in connection.execute("select name from sqlite_master order by name")]
        found = {
            name: connection.execute(f"select * from {name}").fetchall()  # noqa: S608
            for name in named
            if not name.startswith("sqlite_autoindex")
        }
        for pragma in ("user_version", "application_id", "page_size", "auto_vacuum"):
            found[pragma] = connection.execute(f"pragma {pragma}").fetchall()
        found["schema"] = connection.execute(
            "select type, name, sql from sqlite_master order by name"
        ).fetchall()
        return found
