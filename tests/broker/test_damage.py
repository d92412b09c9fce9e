"""What one does about a damaged partition: delete its topic and make it anew, or restore."""

from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.backup import backup, restore
from bus.broker.check import check
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED, change, committed, made
from tests.engines.log import delete_before, stored
from tests.engines.transactor import NONE, Transactor
from tests.waiting import until

DAMAGES = {
    "batches": "update log set batches = zeroblob(80) where position = (1 << 40) + 1",
    "the first row's seal": "update log set seal = 7 where position = 1 << 40",
    "the last row's seal": "update log set seal = 7 where position = (1 << 40) + 2",
    "a row that is missing": "delete from log where position = (1 << 40) + 1",
}
"""Done to the partition that was made first."""

damages = pytest.mark.parametrize("damage", DAMAGES)


async def fill(data: Path) -> Path:
    """Make a store of two topics, with positions in both; return its database."""
    async with made(data) as broker, await Raw.to(broker) as raw:
        for topic in ("damaged", "whole"):
            await raw.made(topic)
            for value in (b"1", b"2", b"3"):
                assert (await raw.produce(topic, batch(value * 100))).error_code is NONE
            await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed(topic, 2))
    return data / "broker.db"


async def values(raw: Raw, topic: str) -> list[bytes | None]:
    """Return the first bytes of each of a topic's records."""
    return [one.value and one.value[:1] for one in await stored(raw, topic)]


async def find_out(raw: Raw) -> None:
    """Read the damaged topic, until it is refused."""
    offset = 0
    while (answer := await raw.fetch("damaged", offset, max_bytes=1)).error_code is NONE:
        assert answer.records, "nobody noticed"
        offset += 1


def shown(broker: Broker) -> float | None:
    """Return the damaged partitions that the metric shows."""
    assert broker._engine is not None
    broker._engine.measure()
    return broker._telemetry.registry.get_sample_value("stadtbus_damaged_partitions")


@damages
async def test_a_topic_that_is_damaged_can_be_deleted_and_made_anew(
    tmp_path: Path, damage: str
) -> None:
    database = await fill(tmp_path)
    change(database, DAMAGES[damage])
    assert check(database, max_unpacked=UNPACKED).damages > 0
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        await find_out(raw)
        assert shown(broker) == 1
        refused = await delete_before(raw, "damaged", -1)
        assert refused.error_code is ErrorCode.kafka_storage_error  # it is not cut off
        answer = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["damaged"], timeout=1000)
        assert answer.responses[0].error_code is NONE
        assert shown(broker) == 0
        await raw.made("damaged")
        assert (await raw.produce("damaged", batch(b"anew"))).base_offset == 0
        assert await values(raw, "damaged") == [b"a"]
        assert await values(raw, "whole") == [b"1", b"2", b"3"]
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        assert shown(broker) == 0
        assert await values(raw, "damaged") == [b"a"]

        async def forgotten() -> bool:
            answer = await raw.ask(
                ApiKey.OFFSET_FETCH,
                5,
                group_id="g",
                topics=[{"name": "damaged", "partition_indexes": [0]}],
            )
            return bool(answer.topics[0].partitions[0].committed_offset == -1)

        await until(forgotten)
    report = check(database, max_unpacked=UNPACKED)
    assert (report.damages, report.records) == (0, 4)


@damages
async def test_a_backup_takes_the_place_of_a_damaged_store(tmp_path: Path, damage: str) -> None:
    database = await fill(tmp_path / "broker")
    backup(database, tmp_path / "copy")
    change(database, DAMAGES[damage])
    restore(tmp_path / "copy", tmp_path / "broker", max_unpacked=UNPACKED, force=True)
    async with made(tmp_path / "broker", tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        for topic in ("damaged", "whole"):
            assert await values(raw, topic) == [b"1", b"2", b"3"]
            assert (await raw.produce(topic, batch(b"4"))).base_offset == 3
        assert shown(broker) == 0
    assert check(database, max_unpacked=UNPACKED).damages == 0


@pytest.mark.parametrize("commit", [True, False])
async def test_a_transaction_ends_where_one_of_its_partitions_is_damaged(
    tmp_path: Path, *, commit: bool
) -> None:
    database = await fill(tmp_path)
    async with (
        made(tmp_path) as broker,
        Transactor.at(broker.address, "x") as open_,
    ):
        await open_.begin()
        await open_.send("damaged", b"4")
        await open_.send("whole", b"4")
    change(database, DAMAGES["batches"], "delete from meta where name = 'digest'")
    async with (
        made(tmp_path, tail_cache_bytes=0) as broker,
        await Raw.to(broker) as raw,
        Transactor.at(broker.address, "x") as again,
    ):
        await find_out(raw)
        again.id, again.epoch = open_.id, open_.epoch
        assert await again.end(commit=commit) is NONE
        await again.begin()
        await again.send("whole", b"5")
        assert await again.end(commit=True) is NONE
        await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["damaged"], timeout=1000)
        await raw.made("damaged")
        await again.send("damaged", b"6")
        assert await again.end(commit=True) is NONE
        assert (await raw.fetch("damaged", 0)).last_stable_offset == 2
    assert check(database, max_unpacked=UNPACKED).damages == 0
