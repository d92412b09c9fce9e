"""What one viewer is shown of a topic: nothing that was read goes uncounted."""

import random
from collections.abc import Sequence

import pytest

from bus.errors import BusUnavailable
from bus.portal.tailing import (
    MOST_ROWS,
    Filter,
    Follower,
    Line,
    Payload,
    Update,
    read_positions,
    write_positions,
)
from bus.portal.tailing.feed import BACKLOG, MOST_BEHIND, beginning

AT_ONCE = 37


def line(offset: int, partition: int = 0, key: str = "k", data: str | None = "{}") -> Line:
    payload = Payload(key=key, subject=None, data=data)
    return Line(
        partition=partition, offset=offset, at=0.0, source="de.x.y", masked=payload, clear=payload
    )


def fault(offset: int) -> Line:
    return Line(partition=0, offset=offset, at=0.0, fault="bad-data", why="odd")


def counted(updates: Sequence[Update | None]) -> tuple[int, int, int]:
    seen = [update for update in updates if update is not None]
    shown = sum(len(update.lines) for update in seen)
    return shown, sum(one.skipped for one in seen), sum(one.filtered for one in seen)


def test_a_burst_leaves_none_unaccounted_for() -> None:
    follower = Follower(Filter(key="0"))
    follower.begin({0: 0})
    updates = []
    for start in range(0, 10_000, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, 10_000))
        follower.take([line(number, key=str(number)) for number in numbers])
        if start % (AT_ONCE * 50) == 0:
            updates.append(follower.drain())
    updates.append(follower.drain())
    shown, skipped, filtered = counted(updates)
    wanted = sum("0" in str(number) for number in range(10_000))
    assert shown + skipped == wanted
    assert filtered == 10_000 - wanted
    assert shown > 0
    assert skipped > 0
    assert all(update is None or len(update.lines) <= MOST_ROWS for update in updates)


def test_what_was_taken_undecoded_is_taken_again() -> None:
    """In its place where it waits still, and as a change of what was shown."""
    follower = Follower()
    follower.begin({0: 0})
    follower.take([fault(0)])
    first = follower.drain()
    follower.take([fault(1)])
    follower.take_again([line(0), line(1)])
    second = follower.drain()
    assert first is not None
    assert second is not None
    assert (second.lines, second.again) == ((line(1),), (line(0),))
    assert counted([first, second]) == (2, 0, 0)
    assert follower.drain() is None


def test_who_filters_takes_nothing_again() -> None:
    follower = Follower(Filter(key="k"))
    follower.begin({0: 0})
    follower.take([fault(0)])
    update = follower.drain()
    follower.take_again([line(0)])
    assert counted([update, follower.drain()]) == (0, 0, 1)


def test_a_burst_across_connections_leaves_none_unaccounted_for() -> None:
    """Updates that were made but never arrived are made again for who comes back."""
    chance = random.Random(6)
    lines = [line(number // 3, number % 3, key=str(number)) for number in range(9999)]
    position: dict[int, int] = {0: 0, 1: 0, 2: 0}
    arrived, read = [], 0
    while read < len(lines) or position != {0: 3333, 1: 3333, 2: 3333}:
        follower = Follower(Filter(key="7"))
        follower.begin(position)
        follower.take(lines[:read])
        for _ in range(chance.randint(1, 4)):
            update = follower.drain()
            if update is not None:
                arrived.append(update)
                position = dict(update.positions)
            follower.take(lines[read : read + 400])
            read = min(read + 400, len(lines))
        follower.drain()  # made, and lost with the connection
    assert sum(counted(arrived)) == 9999
    assert counted(arrived)[2] == sum("7" not in str(number) for number in range(9999))


def test_the_newest_are_shown_of_too_many() -> None:
    follower = Follower()
    follower.begin({0: 0})
    follower.take([line(number) for number in range(MOST_ROWS + 5)])
    update = follower.drain()
    assert update is not None
    assert [one.offset for one in update.lines] == list(range(5, MOST_ROWS + 5))
    assert update.skipped == 5


def test_nothing_is_told_when_nothing_is_new() -> None:
    follower = Follower()
    follower.begin({0: 0})
    assert follower.drain() is not None
    assert follower.drain() is None
    follower.tell(None)
    assert follower.drain() is None
    follower.tell(BusUnavailable("the bus is away"))
    follower.drain()
    follower.tell(BusUnavailable("the bus is away"))
    assert follower.drain() is None
    follower.tell(BusUnavailable("another bus is away"))
    update = follower.drain()
    assert update is not None
    assert str(update.trouble) == "another bus is away"


def test_what_was_had_before_is_not_had_again() -> None:
    follower = Follower()
    follower.begin({0: 5})
    follower.take([line(number) for number in range(8)])
    follower.take([line(7), line(0, partition=1)])
    update = follower.drain()
    assert update is not None
    assert [(one.partition, one.offset) for one in update.lines] == [(0, 5), (0, 6), (0, 7), (1, 0)]
    assert update.positions == {0: 8, 1: 1}


def test_what_nobody_would_be_shown_is_counted_without_being_decoded() -> None:
    follower = Follower()
    follower.begin({0: 3})
    follower.pass_over(0, [0, 2, 4, 5, 9])
    follower.take([line(9), line(10)])
    update = follower.drain()
    assert update is not None
    assert (update.skipped, update.positions) == (3, {0: 11})
    assert [one.offset for one in update.lines] == [10]


def test_what_is_gone_counts_as_skipped() -> None:
    follower = Follower()
    follower.begin({0: 10, 1: 50})
    follower.jump(0, 110)
    follower.jump(1, 0)  # the topic was made anew
    update = follower.drain()
    assert update is not None
    assert update.skipped == 100
    assert update.positions == {0: 110, 1: 0}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(Filter(), True, id="everything"),
        pytest.param(Filter(key="STRA"), True, id="key, case aside"),
        pytest.param(Filter(key="x"), False, id="another key"),
        pytest.param(Filter(source="x.Y"), True, id="source"),
        pytest.param(Filter(source="z"), False, id="another source"),
        pytest.param(Filter(value="köln"), True, id="value"),
        pytest.param(Filter(value="Bonn"), False, id="another value"),
        pytest.param(Filter(key="straße", value="Bonn"), False, id="all have to hold"),
        pytest.param(Filter(value="Ada"), False, id="what is masked is not found"),
    ],
)
def test_a_filter_looks_at_what_everybody_may_see(wanted: Filter, found: bool) -> None:
    event = Line(
        partition=0,
        offset=0,
        at=0.0,
        source="de.x.y",
        masked=Payload(key="Straße", subject=None, data='{"city": "Köln", "name": "•••"}'),
        clear=Payload(key="Straße", subject=None, data='{"city": "Köln", "name": "Ada"}'),
    )
    assert wanted.holds(event) is found


def test_what_cannot_be_decoded_is_shown_to_who_wants_everything() -> None:
    assert Filter().holds(fault(0))
    assert not Filter(value="o").holds(fault(0))
    assert not Filter(value="x").holds(line(0, data=None))


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("0:12,1:7", {0: 12, 1: 7}),
        ("", {}),
        ("0:12,", {}),
        ("0:-1", {}),
        ("0:٣", {}),
        ("a:b", {}),
        ("0:" + "9" * 20, {}),
        ("<script>", {}),
    ],
)
def test_positions_are_read_as_they_were_written(text: str, positions: dict[int, int]) -> None:
    assert read_positions(text) == positions
    if positions:
        assert write_positions(positions) == text


@pytest.mark.parametrize(
    ("bounds", "wanted", "start"),
    [
        pytest.param((0, 10), None, 0, id="few"),
        pytest.param((0, 100_000), None, 100_000 - BACKLOG, id="many"),
        pytest.param((99_990, 100_000), None, 99_990, id="deleted"),
        pytest.param((0, 100_000), 90_000, 90_000, id="comes back"),
        pytest.param((0, 100_000), 7, 100_000 - MOST_BEHIND, id="comes back late"),
        pytest.param((0, 10), 99, 10, id="from a topic of the same name"),
        pytest.param((5, 5), 1, 5, id="empty"),
    ],
)
def test_a_feed_begins_near_the_end(
    bounds: tuple[int, int], wanted: int | None, start: int
) -> None:
    known = {} if wanted is None else {0: wanted}
    assert beginning({0: bounds}, known) == {0: start}
