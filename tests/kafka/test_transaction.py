"""Records and positions in one transaction: all of it, or nothing, and one writer at a time."""

import asyncio

import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import BusUnavailable, EventTooLarge, Fenced, NotFound
from bus.kafka import LogReader, Positions, Record, Transactor, boot_clock
from bus.settings import KafkaSettings
from tests.waiting import until

SOURCE, ONE, TWO = "test.source.v1", "test.one.v1", "test.two.v1"
GROUP, ID = "test.router", "test.router.source.0"


@pytest.fixture(autouse=True)
async def topics(bare: KafkaSettings) -> None:
    """Two topics to write to, and the one whose position is kept."""
    async with Admin(bare) as admin:
        for name in (SOURCE, ONE, TWO):
            await admin.ensure_topic(TopicSpec(name=name, partitions=2))


async def seen(kafka: KafkaSettings) -> dict[tuple[str, int], list[bytes | None]]:
    """Return the values that a reader of committed records gets, by place that holds any."""
    found: dict[tuple[str, int], list[bytes | None]] = {}
    async with LogReader(kafka) as reader:
        for topic in (ONE, TWO):
            for partition, (first, end) in (await reader.bounds(topic)).items():
                position = first
                while position < end:
                    records = await reader.read(topic, partition, position, max_wait=0)
                    if not records:  # only marks of transactions are left
                        break
                    values = [record.value for record in records]
                    found.setdefault((topic, partition), []).extend(values)
                    position = records[-1].offset + 1
    return found


async def position(kafka: KafkaSettings) -> int | None:
    async with Admin(kafka) as admin:
        return (await admin.group_offsets(GROUP)).get((SOURCE, 0))


def values(place: tuple[str, int], *texts: bytes) -> list[tuple[str, int, Record]]:
    return [(*place, Record(None, text, [])) for text in texts]


def at(offset: int) -> Positions:
    return Positions(group=GROUP, offsets={(SOURCE, 0): offset}, metadata="test")


async def test_records_and_positions_come_together(bare: KafkaSettings) -> None:
    async with Transactor(bare, ID) as writing:
        for n in range(3):
            first = values((ONE, 0), b"%d" % n, b"%d again" % n)
            await writing.write(first + values((TWO, 1), b"%d" % n), at(n + 1))
    # Kafka answers a commit before its marks are written.
    await until(lambda: _is(bare, (ONE, 0), 6))
    assert await seen(bare) == {
        (ONE, 0): [b"0", b"0 again", b"1", b"1 again", b"2", b"2 again"],
        (TWO, 1): [b"0", b"1", b"2"],
    }
    assert await position(bare) == 3


async def test_a_position_alone_moves_too(bare: KafkaSettings) -> None:
    async with Transactor(bare, ID) as writing:
        await writing.write([], at(7))
    await until(lambda: _at(bare, 7))
    assert await seen(bare) == {}


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (("test.absent.v1", 0, Record(None, b"x", [])), NotFound),
        ((TWO, 0, Record(None, bytes(3 * 2**20), [])), EventTooLarge),
    ],
)
async def test_what_fails_leaves_nothing_and_the_next_one_goes_on(
    bare: KafkaSettings, bad: tuple[str, int, Record], error: type[Exception]
) -> None:
    async with Transactor(bare, ID) as writing:
        await writing.write(values((ONE, 0), b"before"), at(1))
        with pytest.raises(error):
            await writing.write([*values((ONE, 0), b"in vain"), bad], at(2))
    async with Transactor(bare, ID) as writing:
        await writing.write(values((ONE, 0), b"after"), at(3))
    await until(lambda: _at(bare, 3))
    await until(lambda: _is(bare, (ONE, 0), 2))
    assert await seen(bare) == {(ONE, 0): [b"before", b"after"]}


async def test_who_begins_last_is_the_one_who_writes(bare: KafkaSettings) -> None:
    async with Transactor(bare, ID) as first, Transactor(bare, ID) as second:
        with pytest.raises(Fenced):
            await first.write(values((ONE, 0), b"too late"), at(1))
        await second.write(values((ONE, 0), b"in time"), at(2))
        await until(lambda: _at(bare, 2))
    assert await seen(bare) == {(ONE, 0): [b"in time"]}


async def test_one_that_hangs_is_fenced_after_its_time(
    bare: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stopped process had begun is taken back without anybody asking for it."""
    sent, go_on = asyncio.Event(), asyncio.Event()
    send = Transactor._send

    async def hanging(self: Transactor, *arguments: object) -> None:
        await send(self, *arguments)  # type: ignore[arg-type]
        sent.set()
        await go_on.wait()

    async with Transactor(bare, ID, timeout=1.0) as writing:
        monkeypatch.setattr(Transactor, "_send", hanging)
        task = asyncio.create_task(writing.write(values((ONE, 0), b"too late"), at(1)))
        await sent.wait()
        async with LogReader(bare) as reader:
            # Readers of committed records are held up until the engine has taken it back.
            await until(lambda: _ended(reader))
        go_on.set()
        with pytest.raises(Fenced):
            await task
    assert await seen(bare) == {}
    assert await position(bare) is None


async def _is(kafka: KafkaSettings, place: tuple[str, int], count: int) -> bool:
    return len((await seen(kafka)).get(place, ())) == count


async def _at(kafka: KafkaSettings, offset: int) -> bool:
    return await position(kafka) == offset


async def _ended(reader: LogReader) -> bool:
    """Whether the partition's last stable offset is behind the record and its mark."""
    return (await reader.bounds(ONE))[0][1] == 2


async def test_what_counts_no_more_is_taken_back(bare: KafkaSettings) -> None:
    """All of it is in the log by then, and none of it is seen."""
    async with Transactor(bare, ID) as writing:
        with pytest.raises(BusUnavailable, match="longer than it may count for"):
            await writing.write(values((ONE, 0), b"too late"), at(1), valid_until=boot_clock() - 1)
        await writing.write(values((ONE, 0), b"in time"), at(2), valid_until=boot_clock() + 60)
    await until(lambda: _has(bare, {(ONE, 0): [b"in time"]}))
    assert await position(bare) == 2


async def _has(kafka: KafkaSettings, wanted: dict[tuple[str, int], list[bytes | None]]) -> bool:
    return await seen(kafka) == wanted
