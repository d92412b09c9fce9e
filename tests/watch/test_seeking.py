"""Where a group is to read from again."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from bus.admin import Admin, TopicSpec
from bus.errors import Conflict, InvalidSettings, NotFound
from bus.kafka import GroupConsumer, Producer, Record
from bus.kafka.groups import Position
from bus.settings import KafkaSettings
from bus.watch.seeking import Move, Target, carry_out, move, plan
from tests.test_rights import AtTheStart
from tests.waiting import until

TOPIC, OTHER, GROUP = "seek.events.v1", "seek.other.v1", "de.agency.statistik.seeker"
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("target", "at_time", "offset"),
    [
        pytest.param(Target(start=True), None, 5, id="the start"),
        pytest.param(Target(end=True), None, 20, id="the end"),
        pytest.param(Target(offset=7), None, 7, id="an offset"),
        pytest.param(Target(offset=1), None, 5, id="an offset that is gone: the nearest"),
        pytest.param(Target(offset=99), None, 20, id="an offset that is not there yet"),
        pytest.param(Target(time=NOW), 12, 12, id="a time"),
        pytest.param(Target(time=NOW), -1, 20, id="a time after the last event"),
        pytest.param(Target(time=NOW), 2, 5, id="a record that was deleted meanwhile"),
    ],
)
def test_where_to_go(target: Target, at_time: int | None, offset: int) -> None:
    assert target.of(5, 20, at_time) == offset


@pytest.mark.parametrize(
    ("at", "to", "again", "skipped"),
    [
        pytest.param(10, 6, 4, 0, id="back"),
        pytest.param(10, 14, 0, 4, id="on"),
        pytest.param(2, 5, 0, 0, id="from an expired position to the start: what is gone is gone"),
        pytest.param(None, 8, 0, 3, id="a group without a position would begin at the start"),
    ],
)
def test_what_it_means(at: int | None, to: int, again: int, skipped: int) -> None:
    position = None if at is None else Position(at, "stadtbus/1 promise=3")
    found = move(("t", 0), position, to, first=5)
    assert (found.before, found.after, found.again, found.skipped) == (at, to, again, skipped)
    assert found.metadata == ("" if at is None else "stadtbus/1 promise=3"), "a promise stays"


@pytest.fixture
async def admin(bare: KafkaSettings) -> Admin:
    admin = Admin(bare)
    for name in (TOPIC, OTHER):
        await admin.ensure_topic(TopicSpec(name=name, partitions=2))
    async with Producer(bare) as producer:
        for number in range(4):
            await producer.append(TOPIC, 0, [Record(b"k", b"%d" % number)])
    await admin.set_positions(GROUP, {(TOPIC, 0): (3, "stadtbus/1 promise=30")})
    return admin


def offsets(moves: list[Move]) -> list[tuple[str, int, int | None, int]]:
    return [(one.topic, one.partition, one.before, one.after) for one in moves]


async def test_a_group_goes_back_and_keeps_its_promise(bare: KafkaSettings, admin: Admin) -> None:
    moves = await plan(bare, GROUP, Target(start=True))
    assert offsets(moves) == [(TOPIC, 0, 3, 0), (TOPIC, 1, None, 0)]
    assert moves[0].again == 3
    assert await admin.group_offsets(GROUP) == {(TOPIC, 0): 3}, "a plan changes nothing"
    await carry_out(bare, GROUP, moves)
    assert await admin.group_offsets(GROUP) == {(TOPIC, 0): 0, (TOPIC, 1): 0}
    (again, _) = await plan(bare, GROUP, Target(end=True))
    assert (again.before, again.after, again.metadata) == (0, 4, "stadtbus/1 promise=30")


async def test_to_a_time(bare: KafkaSettings, admin: Admin) -> None:
    now = datetime.fromtimestamp(time.time(), UTC)
    day = timedelta(days=1)
    before_1970 = (datetime(206, 11, 22, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC))
    for moment, offset in ((now - day, 0), (now + day, 4), *((one, 0) for one in before_1970)):
        moves = await plan(bare, GROUP, Target(time=moment))
        assert (moves[0].partition, moves[0].after) == (0, offset)


async def test_a_new_group_gets_its_first_positions(bare: KafkaSettings, admin: Admin) -> None:
    with pytest.raises(NotFound, match="no position anywhere"):
        await plan(bare, "de.agency.statistik.seeken", Target(end=True))
    moves = await plan(bare, "de.agency.statistik.new", Target(end=True), [TOPIC])
    await carry_out(bare, "de.agency.statistik.new", moves)
    found = await admin.group_offsets("de.agency.statistik.new")
    assert found == {(TOPIC, 0): 4, (TOPIC, 1): 0}


async def test_a_group_without_a_name(bare: KafkaSettings) -> None:
    with pytest.raises(InvalidSettings, match="a group has a name"):
        await plan(bare, "", Target(start=True), [TOPIC])


async def test_a_topic_that_is_not_there(bare: KafkaSettings, admin: Admin) -> None:
    with pytest.raises(NotFound, match=r"seek\.nothing"):
        await plan(bare, GROUP, Target(start=True), ["seek.nothing.v1"])


async def test_a_group_with_members_is_left_alone(bare: KafkaSettings, admin: Admin) -> None:
    moves = await plan(bare, GROUP, Target(start=True))
    consumer = GroupConsumer(bare, GROUP, [TOPIC], AtTheStart())
    await consumer.start()
    try:

        async def joined() -> bool:
            await consumer.poll(0.05)
            return (await admin.describe_group(GROUP)).state == "stable"

        await until(joined)
        with pytest.raises(Conflict, match="1 member"):
            await plan(bare, GROUP, Target(start=True))
        with pytest.raises(Conflict):
            await carry_out(bare, GROUP, moves)
    finally:
        await consumer.stop()
    assert (await admin.group_offsets(GROUP))[TOPIC, 0] == 3
