"""The address book as an agency runs it: a process of its own, a real bus, crashes included."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from bus.event import Draft, frame
from bus.kafka import Producer, Record
from bus.publisher import Publisher, Receipt
from consumers.address_book.__main__ import app
from tests.running import Bus, Program, ended, program
from tests.waiting import until

pytestmark = pytest.mark.slow

MODULE = "consumers.address_book"
TOPIC = "address.building-changed.v1"
GROUP = "de.agency.geodaten.address-book"
BERLIN = "de.mun.110000000000.adressregister"


def data(address: int, change: str = "REGISTERED", number: str = "1") -> dict[str, Any]:
    return {
        "address_id": f"address-{address}",
        "municipality": "110000000000",
        "change": change,
        "street": "Allee",
        "number": number,
        "suffix": None,
        "postcode": "10115",
        "place": "Mitte",
        "cause": "UNKNOWN",
        "valid_from": date(2026, 1, 1),
        "basis": "INFERRED",
        "corrects": None,
    }


async def publish(bus: Bus, *events: Mapping[str, Any]) -> list[Receipt]:
    drafts = [Draft(data=event, time=datetime(2026, 1, 1, tzinfo=UTC)) for event in events]
    async with Publisher(BERLIN, bus.settings) as publisher:
        return await publisher.publish_many(TOPIC, drafts)


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "address-book.db")) as database:
        return database.execute(query).fetchall()


def numbers(folder: Path) -> dict[str, str]:
    return dict(rows(folder, "SELECT address_id, number FROM address"))


async def delivered(book: Program, *receipts: list[Receipt]) -> None:
    """Wait until all these events have taken effect."""
    wanted = {receipt.id for some in receipts for receipt in some}
    await book.until(lambda _: wanted <= set(book.ids("delivered")))


async def test_the_mirror(bus: Bus, tmp_path: Path) -> None:
    first = await publish(bus, *(data(n) for n in range(40)))
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, first)
        second = await publish(
            bus, data(1, "RENUMBERED", "7"), data(2, "WITHDRAWN"), data(3, "UNKNOWN")
        )
        await delivered(book, second[:2])
        assert await book.stop() == 0
    assert book.reports[0] == {"event": "ready", "group": GROUP}
    assert book.reports[-1] == {"event": "done", "group": GROUP, "delivered": 42}
    expected = {f"address-{n}": "1" for n in range(40) if n != 2} | {"address-1": "7"}
    assert numbers(tmp_path) == expected
    assert rows(tmp_path, "SELECT address_id FROM withdrawn_address") == [("address-2",)]


@pytest.mark.slow
async def test_a_tombstone_removes(bus: Bus, tmp_path: Path) -> None:
    published = await publish(bus, data(1), data(2))
    async with Publisher(BERLIN, bus.settings) as publisher:
        gone = await publisher.tombstone(TOPIC, "address-1")
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, published, [gone])
        assert await book.stop() == 0
    assert numbers(tmp_path) == {"address-2": "1"}


@pytest.mark.slow
async def test_a_malformed_event_stops_nobody(bus: Bus, tmp_path: Path) -> None:
    async with Producer(bus.settings.kafka) as vendor:
        for partition in range(3):
            await vendor.append(TOPIC, partition, [Record(b"x", frame(1, b"\x48half"))])
    published = await publish(bus, *(data(n) for n in range(20)))
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, published)
        assert await book.stop() == 0
    assert len(numbers(tmp_path)) == 20


AUDIT = """
CREATE TABLE audit (event_id TEXT);
CREATE TRIGGER audited AFTER INSERT ON address
BEGIN INSERT INTO audit VALUES (new.event_id); END;
"""


@pytest.mark.slow
async def test_killed_again_and_again_it_applies_each_event_once(bus: Bus, tmp_path: Path) -> None:
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await book.until(bool)
        await book.stop()
    with closing(sqlite3.connect(tmp_path / "address-book.db")) as database:
        database.executescript(AUDIT)
    published = await publish(bus, *(data(n) for n in range(6000)))
    for _ in range(2):
        async with program(MODULE, [], bus.environment, tmp_path) as book:
            await book.until(lambda _: bool(book.ids("delivered")))
            await book.kill()
        assert 0 < len(numbers(tmp_path)) < 6000, "it was killed in the middle"
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        wanted = 6000 - len(numbers(tmp_path))
        await book.until(lambda _: len(book.ids("delivered")) >= wanted)
        assert await book.stop() == 0
    audit = [event for (event,) in rows(tmp_path, "SELECT event_id FROM audit")]
    assert sorted(audit) == sorted(receipt.id for receipt in published)


@pytest.mark.slow
async def test_a_bus_that_goes_away_for_a_while_loses_nothing(bus: Bus, tmp_path: Path) -> None:
    before = await publish(bus, *(data(n) for n in range(100)))
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, before)
        await bus.stop()
        await bus.start()
        after = await publish(bus, *(data(n) for n in range(100, 200)))
        await delivered(book, after)
        assert await book.stop() == 0
    assert len(book.ids("delivered")) == len(numbers(tmp_path)) == 200


async def test_a_rebuild_says_what_the_topic_says(bus: Bus, tmp_path: Path) -> None:
    published = await publish(bus, *(data(n) for n in range(300)), data(0, "WITHDRAWN"))
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, published)
        await book.stop()
    before = numbers(tmp_path)
    with closing(sqlite3.connect(tmp_path / "address-book.db")) as database:
        database.execute("UPDATE address SET number = 'wrong'")
        database.execute("DELETE FROM address WHERE address_id = 'address-7'")
        database.commit()
    late = await publish(bus, data(300))
    async with program(MODULE, ["--rebuild"], bus.environment, tmp_path) as book:
        await delivered(book, late)
        assert await book.stop() == 0
    assert numbers(tmp_path) == before | {"address-300": "1"}
    assert book.ids("delivered") == [late[0].id], "what was taken in before is not told again"
    assert rows(tmp_path, "SELECT name FROM sqlite_master WHERE name LIKE '%rebuild'") == []


@pytest.mark.slow
async def test_a_rebuild_that_was_cut_short_leaves_the_old_book(bus: Bus, tmp_path: Path) -> None:
    published = await publish(bus, *(data(n) for n in range(6000)))
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        await delivered(book, published)
        await book.stop()
    before = numbers(tmp_path)
    async with program(MODULE, ["--rebuild"], bus.environment, tmp_path) as book:
        await _until_some_are_rebuilt(tmp_path)
        assert await book.stop() == 0
    assert numbers(tmp_path) == before, "stopped, the old one is as it was"
    async with program(MODULE, ["--rebuild"], bus.environment, tmp_path) as book:
        await _until_some_are_rebuilt(tmp_path)
        await book.kill()
    assert numbers(tmp_path) == before, "killed, the old one is as it was"
    async with program(MODULE, [], bus.environment, tmp_path) as book:
        late = await publish(bus, data(6000))
        await delivered(book, late)
        await book.stop()
    async with program(MODULE, ["--rebuild"], bus.environment, tmp_path) as book:
        await book.until(bool)
        assert await book.stop() == 0
    assert numbers(tmp_path) == before | {"address-6000": "1"}
    assert "rebuilt from 6,001 events" in book.talk


@pytest.mark.slow
async def test_a_rebuild_beside_an_instance_that_goes_on(bus: Bus, tmp_path: Path) -> None:
    first = await publish(bus, *(data(n) for n in range(3000)))
    async with program(MODULE, [], bus.environment, tmp_path) as running:
        await delivered(running, first)
        async with program(MODULE, ["--rebuild"], bus.environment, tmp_path) as rebuilding:
            await _until_some_are_rebuilt(tmp_path)
            late = await publish(bus, *(data(n) for n in range(3000, 3300)))
            await rebuilding.until(bool)
            assert await running.stop() == 0
            wanted = {receipt.id for receipt in late} - set(running.ids("delivered"))
            await rebuilding.until(lambda _: wanted <= set(rebuilding.ids("delivered")))
            assert await rebuilding.stop() == 0
    assert numbers(tmp_path) == {f"address-{n}": "1" for n in range(3300)}
    assert rows(tmp_path, "SELECT DISTINCT revision FROM address") == [(1,)]


async def _until_some_are_rebuilt(folder: Path) -> None:
    def some() -> bool:
        try:
            return bool(rows(folder, "SELECT 1 FROM address_rebuild LIMIT 1"))
        except sqlite3.OperationalError:
            return False

    await until(some)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param([], 4, "127.0.0.1:1", id="a bus that is not there: its address"),
        pytest.param(["--database", "book.db"], 2, "sqlite:///", id="no URL: how one looks"),
        pytest.param(["--database", "nosuch://x"], 2, "nosuch", id="no such database"),
        pytest.param(["--database", "sqlite:////no/such/folder/book.db"], 2, "unable to open",
                     id="a folder that is not there"),
        pytest.param(["--group", "address-book"], 2, "address-book", id="a group without a member"),
        pytest.param(["--databse", "x"], 2, "--database", id="an unknown option: the nearest"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    assert ended(app, arguments) == code
    assert said in capsys.readouterr().err
