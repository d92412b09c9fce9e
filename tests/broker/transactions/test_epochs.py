"""Producers whose epochs run out, and producers that were forgotten: they go on."""

from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker.check import check
from bus.broker.storage.database import now_ms
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED, change, made
from tests.engines.transactor import COMMITTED, NONE, Transactor, Txn, read
from tests.waiting import until

LAST = 2**15 - 1
"""The largest epoch, which is for fencing alone."""

DAY = 24 * 3_600_000


async def aged(data: Path, epoch: int) -> int:
    """Make a store whose one transactional id has got so far; return its producer's id."""
    async with made(data) as broker, Transactor.at(broker.address, "x") as one:
        await one.raw.made("t")
        await one.begin()
        await one.send("t", b"old")
        assert await one.end(commit=True) is NONE
    database = data / "broker.db"
    change(
        database,
        f"update transactions set epoch = {epoch}",  # noqa: S608  # a number
        f"update producers set epoch = {epoch}",  # noqa: S608  # a number
        "delete from meta where name = 'digest'",
    )
    return one.id


@pytest.mark.parametrize(("epoch", "same"), [(LAST - 3, True), (LAST - 2, True), (LAST - 1, False)])
async def test_a_transactional_id_goes_on_with_a_new_producer_id(
    tmp_path: Path, epoch: int, *, same: bool
) -> None:
    before = await aged(tmp_path, epoch)
    async with made(tmp_path) as broker, Transactor.at(broker.address, "x") as one:
        await one.begin()
        assert (one.id == before, one.epoch) == (same, epoch + 1 if same else 0)
        await one.send("t", b"new")
        assert await one.end(commit=True) is NONE
    assert check(tmp_path / "broker.db", max_unpacked=UNPACKED).damages == 0


async def test_a_transaction_that_is_open_in_the_last_epoch_is_aborted(tmp_path: Path) -> None:
    await aged(tmp_path, LAST - 3)
    async with (
        made(tmp_path) as broker,
        Transactor.at(broker.address, "x") as one,
        Transactor.at(broker.address, "x") as other,
    ):
        await one.begin()
        assert one.epoch == LAST - 2
        await other.begin()
        assert other.epoch == LAST - 1
        await other.send("t", b"open")
        await one.begin()  # what is open is fenced by the largest epoch, and aborted
        assert (one.epoch, one.id != other.id) == (0, True)
        assert await other.end(commit=True) is not NONE
        await one.send("t", b"new")
        assert await one.end(commit=True) is NONE
        assert await read(one.raw, "t", COMMITTED) == [b"old", b"new"]
    assert check(tmp_path / "broker.db", max_unpacked=UNPACKED).damages == 0


async def test_a_producer_that_was_forgotten_begins_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await raw.made("t")
        told = [await raw.produce("t", batch(b"x", producer=(7, 0, n))) for n in (0, 1, 9)]
        errors = [one.error_code for one in told]
        assert errors == [NONE, NONE, ErrorCode.out_of_order_sequence_number]
        monkeypatch.setattr("bus.broker.writer.now_ms", lambda: now_ms() + 2 * DAY)
        monkeypatch.setattr("bus.broker.writer.EXPIRE_EVERY", 0.0)

        async def forgotten() -> bool:
            assert (await raw.produce("t", batch(b"other"))).error_code is NONE
            answer = await raw.ask(
                Txn.DESCRIBE_PRODUCERS, 0, topics=[{"name": "t", "partition_indexes": [0]}]
            )
            return not answer.topics[0].partitions[0].active_producers

        await until(forgotten)
        monkeypatch.undo()
        again = [await raw.produce("t", batch(b"y", producer=(7, 0, n))) for n in (9, 10, 10, 12)]
        assert [one.error_code for one in again] == [NONE, NONE, NONE, errors[-1]]
        first, second, repeat, _ = again
        assert second.base_offset == repeat.base_offset == first.base_offset + 1
