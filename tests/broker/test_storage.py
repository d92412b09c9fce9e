"""What is kept across restarts, who is refused, and what becomes of damage."""

import asyncio
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker, Fault
from bus.broker.storage.database import APPLICATION
from bus.broker.storage.schema import VERSION
from bus.errors import (
    AddressInUse,
    BusError,
    InvalidSettings,
    StorageInUse,
    StorageUnusable,
)
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch, produce_fields

LOCAL = Address(host="127.0.0.1", port=0)


def made(data: Path, **more: int) -> Broker:
    """Return a broker on a free port that is not started."""
    settings = BrokerSettings.model_validate({"listen": LOCAL, "retention_ms": -1, **more})
    return Broker(settings, data, Telemetry())


async def test_everything_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t", 2, retention_ms="1000000000")
        await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        before = await raw.fetch("t", 0)
        await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("t", 1, "a note"))
        cluster = (await raw.ask(ApiKey.METADATA, 2, topics=None)).cluster_id
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        metadata = await raw.ask(ApiKey.METADATA, 12, **all_topics())
        assert metadata.cluster_id == cluster
        assert len(metadata.topics[0].partitions) == 2
        assert await raw.fetch("t", 0) == before
        again = await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        assert (again.error_code, again.base_offset) == (ErrorCode.none, 0)
        assert (await raw.produce("t", batch(b"y", producer=(5, 0, 1)))).base_offset == 1
        answer = await raw.ask(ApiKey.OFFSET_FETCH, 7, group_id="g", topics=None, require_stable=0)
        part = answer.topics[0].partitions[0]
        assert (part.committed_offset, part.metadata) == (1, "a note")


async def test_what_is_stored_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        modes = modes_in(tmp_path)
    assert "broker.db-wal" in modes
    assert set(modes.values()) == {0o600}


def modes_in(folder: Path) -> dict[str, int]:
    """Return who may do what with each file of a folder."""
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


def all_topics() -> dict[str, object]:
    """Return the fields of a Metadata request for all topics."""
    return {
        "topics": None,
        "allow_auto_topic_creation": False,
        "include_topic_authorized_operations": False,
    }


def committed(name: str, offset: int, note: str) -> dict[str, object]:
    """Return an OffsetCommit request of somebody who is in no group."""
    part = {
        "partition_index": 0,
        "committed_offset": offset,
        "committed_leader_epoch": -1,
        "committed_metadata": note,
    }
    return {
        "group_id": "g",
        "generation_id_or_member_epoch": -1,
        "member_id": "",
        "group_instance_id": None,
        "topics": [{"name": name, "partitions": [part]}],
    }


@pytest.mark.parametrize("cached", [0, 2**26])
async def test_what_is_read_does_not_depend_on_where_it_is_kept(
    tmp_path: Path, cached: int
) -> None:
    async with made(tmp_path, tail_cache_bytes=cached) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        for count in (1, 3, 2, 5):
            await raw.produce("t", batch(*[b"x" * 300] * count))
        found = []
        for offset in range(11):
            read = await raw.fetch("t", offset, max_bytes=1500)
            found.append((struct.unpack_from(">q", read.records)[0], len(read.records)))
    ends = {0: 4, 1: 4, 4: 6, 6: 11}
    assert [base for base, _ in found] == [0, 1, 1, 1, 4, 4, 6, 6, 6, 6, 6]
    sizes = {base: len(batch(*[b"x" * 300] * (ends[base] - base))) for base in (1, 4, 6)}
    assert {base: size for base, size in found if base in sizes} == sizes


async def test_a_second_broker_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with made(tmp_path) as broker:
        with pytest.raises(StorageInUse, match="another process"):
            await made(tmp_path).start()
        async with await Raw.to(broker) as raw:
            await raw.create("t")
    async with made(tmp_path):
        pass


async def test_a_busy_port_is_refused_and_leaves_the_folder_free(tmp_path: Path) -> None:
    async with made(tmp_path / "one") as broker:
        taken = BrokerSettings(listen=broker.address)
        with pytest.raises(AddressInUse, match=str(broker.address.port)):
            await Broker(taken, tmp_path / "two", Telemetry()).start()
    async with made(tmp_path / "two"):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])  # noqa: S104
async def test_only_loopback_is_listened_on(tmp_path: Path, host: str) -> None:
    settings = BrokerSettings(listen=Address(host=host, port=0))
    with pytest.raises(InvalidSettings, match="other machines"):
        await Broker(settings, tmp_path / "data", Telemetry()).start()
    assert not (tmp_path / "data").exists()


def newer(data: Path) -> None:
    """Leave a database of the next version."""
    with sqlite3.connect(data / "broker.db") as db:
        db.execute(f"pragma application_id = {APPLICATION}")
        db.execute(f"pragma user_version = {VERSION + 1}")
        db.execute("create table whatever (x)")


def foreign(data: Path) -> None:
    """Leave somebody else's database."""
    with sqlite3.connect(data / "broker.db") as db:
        db.execute("create table whatever (x)")


def garbage(data: Path) -> None:
    """Leave a file that is no database."""
    (data / "broker.db").write_bytes(b"no database" * 500)


def contents(data: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {file.name: file.read_bytes() for file in data.iterdir()}


@pytest.mark.parametrize(
    ("leave", "says"),
    [
        pytest.param(newer, f"version {VERSION + 1}", id="newer version"),
        pytest.param(foreign, "not a database of this broker", id="foreign database"),
        pytest.param(garbage, "not a database of this broker", id="no database"),
    ],
)
async def test_a_folder_with_something_else_is_refused_untouched(
    tmp_path: Path, leave: Callable[[Path], None], says: str
) -> None:
    leave(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(StorageUnusable, match=says):
        await made(tmp_path).start()
    after = contents(tmp_path)
    assert after.pop("broker.lock") == b""
    assert after == before


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with pytest.raises(BusError, match="cannot be used") as refused:
        await made(tmp_path / "file").start()
    assert isinstance(refused.value, StorageUnusable)


async def test_a_database_that_was_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "broker.new").write_bytes(b"half")
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert (await raw.create("t")).error_code is ErrorCode.none
    assert not (tmp_path / "broker.new").exists()


async def test_damage_stops_the_partition_and_nothing_of_it_is_served(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t", 2)
        for partition in (0, 1):
            await raw.produce("t", batch(b"needle%d" % partition * 9), partition=partition)
    database = tmp_path / "broker.db"
    stored = database.read_bytes()
    assert stored.count(b"needle0" * 9) == 1
    database.write_bytes(stored.replace(b"needle0" * 9, b"noodle0" * 9))
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        damaged = await raw.fetch("t", 0)
        assert (damaged.error_code, damaged.records) == (ErrorCode.corrupt_message, b"")
        refused = await raw.produce("t", batch(b"x"))
        assert refused.error_code is ErrorCode.kafka_storage_error
        assert (await raw.fetch("t", 0, partition=1)).error_code is ErrorCode.none


@pytest.mark.parametrize("column", ["next", "newest", "checksum", "seal"])
async def test_damage_in_a_rows_other_columns_is_found_too(tmp_path: Path, column: str) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x"))
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute(f"update log set {column} = {column} + 1")  # noqa: S608  # names of ours
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).error_code is not ErrorCode.none
        assert (await raw.produce("t", batch(b"x"))).error_code is not ErrorCode.none


async def test_a_missing_row_is_damage(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        for _ in range(3):
            await raw.produce("t", batch(b"x"))
    with sqlite3.connect(tmp_path / "broker.db") as db:
        db.execute("delete from log where position & 0xffff = 1")
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 1)).error_code is ErrorCode.corrupt_message


async def test_with_too_little_space_publishers_wait_and_readers_go_on(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
    async with made(tmp_path, min_free_bytes=2**60) as broker, await Raw.to(broker) as raw:
        refused = await raw.produce("t", batch(b"y", producer=(5, 0, 1)))
        assert refused.error_code is ErrorCode.kafka_storage_error
        assert (await raw.fetch("t", 0)).high_watermark == 1
        answer = await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("t", 1, ""))
        assert answer.topics[0].partitions[0].error_code is ErrorCode.none
        broker._engine._writer._housekeeping._min_free = 0  # type: ignore[union-attr]  # space is back
        accepted = await raw.produce("t", batch(b"y", producer=(5, 0, 1)))
        assert (accepted.error_code, accepted.base_offset) == (ErrorCode.none, 1)


async def test_a_database_that_may_not_grow_refuses_and_recovers(broker: Broker) -> None:
    store = broker._engine._store  # type: ignore[union-attr]
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        store._db.execute("pragma max_page_count = 1")
        large = batch(b"y" * 2**18, producer=(5, 0, 1))
        refused = await raw.produce("t", large)
        assert refused.error_code is ErrorCode.kafka_storage_error
        later = await raw.produce("t", batch(b"z", producer=(5, 0, 2)))
        assert later.error_code is ErrorCode.out_of_order_sequence_number
        assert (await raw.fetch("t", 0)).high_watermark == 1
        store._db.execute("pragma max_page_count = 1000000")
        assert (await raw.produce("t", large)).base_offset == 1
        assert (await raw.produce("t", batch(b"z", producer=(5, 0, 2)))).base_offset == 2


async def test_the_first_batch_of_a_producer_keeps_its_place_when_the_disk_is_full(
    broker: Broker,
) -> None:
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        broker.faults.arrange(ApiKey.PRODUCE, Fault.COMMIT_FULL)
        first, second = batch(b"1", producer=(5, 0, 0)), batch(b"2", producer=(5, 0, 1))
        assert (await raw.produce("t", first)).error_code is ErrorCode.kafka_storage_error
        assert (await raw.produce("t", second)).error_code is (
            ErrorCode.out_of_order_sequence_number
        )
        assert (await raw.produce("t", first)).base_offset == 0
        assert (await raw.produce("t", second)).base_offset == 1


async def test_after_a_failed_sync_the_broker_stops_and_what_was_acknowledged_is_there(
    tmp_path: Path,
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"kept"))
        broker.faults.arrange(ApiKey.PRODUCE, Fault.COMMIT_FAILED)
        raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", batch(b"lost")))
        await asyncio.wait_for(broker.failed.wait(), 5)
        answer = await raw.answer()
        if answer:
            refused = raw.read(ApiKey.PRODUCE, 9, answer).responses[0].partition_responses[0]
            assert refused.error_code is ErrorCode.kafka_storage_error
            assert await raw.answer() == b""
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        assert (await raw.fetch("t", 0)).high_watermark == 1


async def test_producers_that_have_not_written_for_a_day_are_forgotten(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.create("t")
        await raw.produce("t", batch(b"x", producer=(5, 0, 0)))
        await raw.produce("t", batch(b"x", producer=(6, 0, 0)))
    with sqlite3.connect(tmp_path / "broker.db") as database:
        database.execute("update producers set used = used - 86400001 where producer = 5")
        database.execute("delete from meta where name = 'digest'")  # or it is taken for damage
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        forgotten = await raw.produce("t", batch(b"y", producer=(5, 0, 7)))
        known = await raw.produce("t", batch(b"y", producer=(6, 0, 7)))
    assert forgotten.error_code is ErrorCode.none
    assert known.error_code is ErrorCode.out_of_order_sequence_number


async def test_what_a_deleted_topic_held_is_deleted_in_the_background(broker: Broker) -> None:
    engine = broker._engine
    assert engine is not None
    with sqlite3.connect(engine.path) as database:
        async with await Raw.to(broker) as raw, asyncio.timeout(10):
            await raw.create("t")
            for _ in range(5):
                await raw.produce("t", batch(b"x" * 2**18))
            await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
            while database.execute(
                "select (select count(*) from log) + (select count(*) from dropped)"
            ).fetchone()[0]:
                await raw.ask(ApiKey.METADATA, 1, topics=None)


async def filled(raw: Raw, size: int) -> None:
    """Write so many bytes to topic t."""
    await raw.create("t")
    large = batch(b"x" * (2**20 - 200))
    for _ in range(size // 2**20):
        assert (await raw.produce("t", large)).error_code is ErrorCode.none


async def deleted(raw: Raw) -> None:
    """Delete topic t."""
    await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)


def size_of(data: Path) -> int:
    """Return what the database takes of the disk, in bytes."""
    return sum(file.stat().st_size for file in data.glob("broker.db*"))


async def test_a_deleted_topic_gives_its_space_back(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw, asyncio.timeout(30):
        await raw.create("kept")
        await raw.produce("kept", batch(b"kept"))
        await filled(raw, 24 * 2**20)
        await raw.produce("kept", batch(b"after"))
        assert size_of(tmp_path) > 24 * 2**20
        await deleted(raw)
        while size_of(tmp_path) > 2**20:
            await raw.ask(ApiKey.METADATA, 1, topics=None)
        assert (await raw.fetch("kept", 1)).high_watermark == 2
        assert (await raw.produce("kept", batch(b"on"))).base_offset == 2
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        stored = (await raw.fetch("kept", 0)).records
    assert [word in stored for word in (b"kept", b"after", b"on")] == [True] * 3


async def test_deleting_a_topic_ends_the_want_of_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 20 * 2**20

    def usage(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=limit - size_of(tmp_path))

    async with made(tmp_path, min_free_bytes=4 * 2**20) as broker, await Raw.to(broker) as raw:
        await raw.create("other")
        monkeypatch.setattr("bus.broker.housekeeping.shutil.disk_usage", usage)
        await raw.create("t")
        large = batch(b"x" * (2**20 - 200))
        while (await raw.produce("t", large)).error_code is ErrorCode.none:
            assert size_of(tmp_path) < limit
        assert (await raw.produce("other", batch(b"x"))).error_code is (
            ErrorCode.kafka_storage_error
        )
        await deleted(raw)
        async with asyncio.timeout(30):
            while (await raw.produce("other", batch(b"x"))).error_code is not ErrorCode.none:
                pass
            while size_of(tmp_path) > 2**20:
                await raw.ask(ApiKey.METADATA, 1, topics=None)
        assert (await raw.produce("other", large)).error_code is ErrorCode.none


async def test_deleting_a_topic_makes_room_in_a_database_that_may_not_grow(broker: Broker) -> None:
    store = broker._engine._store  # type: ignore[union-attr]
    large = batch(b"x" * (2**20 - 200))
    async with await Raw.to(broker) as raw, asyncio.timeout(30):
        await raw.create("other")
        await filled(raw, 4 * 2**20)
        store._db.execute("pragma max_page_count = 1")  # as many as there are
        refused = await raw.produce("other", large)
        assert refused.error_code is ErrorCode.kafka_storage_error
        await deleted(raw)
        while (await raw.produce("other", large)).error_code is not ErrorCode.none:
            pass
    assert not broker.failed.is_set()
