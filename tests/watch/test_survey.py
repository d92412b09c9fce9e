"""What a survey says of lag, loss and silence."""

import pytest

from bus.watch.survey import Subscription, TopicState, subscription, unread

NOW = 1_790_000_000.0
BOUNDS = {0: (0, 10), 1: (5, 8), 2: (0, 0)}


def found(positions: dict[int, int], times: dict[int, float | None]) -> Subscription:
    return subscription(
        "g", "t", positions=positions, bounds=BOUNDS, times=times, now=NOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("positions", "times", "records", "seconds"),
    [
        pytest.param({0: 10, 1: 8, 2: 0}, {}, 0, 0.0, id="read to the end: none"),
        pytest.param({0: 4, 1: 8}, {0: NOW - 90}, 6, 90.0, id="age of the first unread record"),
        pytest.param({0: 4, 1: 6}, {0: NOW - 9, 1: NOW - 5}, 8, 9.0, id="the oldest of partitions"),
        pytest.param({0: 10}, {1: NOW}, 3, 0.0, id="without position it counts from its start"),
        pytest.param({0: 10, 1: 2}, {1: NOW - 1}, 3, 1.0, id="what was deleted does not count"),
        pytest.param({0: 99, 1: 8}, {}, 0, 0.0, id="a position behind the end is no negative lag"),
        pytest.param({0: 9, 1: 8}, {0: NOW + 5}, 1, 0.0, id="nor is a clock that is behind"),
        pytest.param({0: 9, 1: 8}, {0: None}, 0, 0.0, id="what was taken back is not unread"),
        pytest.param({0: 9, 1: 8}, {}, 1, None, id="a record that cannot be read: not known"),
        pytest.param({}, {0: NOW, 1: NOW}, 13, None, id="never committed: no time is known"),
    ],
)
def test_lag(
    positions: dict[int, int],
    times: dict[int, float | None],
    records: int,
    seconds: float | None,
) -> None:
    one = found(positions, times)
    assert (one.records, one.seconds) == (records, seconds)
    assert one.never_committed == (not positions)


@pytest.mark.parametrize(
    ("positions", "lost", "ahead"),
    [
        pytest.param({0: 0, 1: 5}, 0, 0, id="at the start of the log"),
        pytest.param({0: 10, 1: 2}, 3, 0, id="before the start: what it did not read is lost"),
        pytest.param({0: 10}, 0, 0, id="a partition that it never committed loses it nothing"),
        pytest.param({0: 12, 2: 1}, 0, 3, id="behind the end, as after the topic was made anew"),
        pytest.param({7: 3}, 0, 0, id="a partition that there is not"),
    ],
)
def test_positions_outside_of_the_log(positions: dict[int, int], lost: int, ahead: int) -> None:
    one = found(positions, {})
    assert (one.lost, one.ahead) == (lost, ahead)


def test_what_is_unread() -> None:
    assert unread({0: 10, 1: 2}, BOUNDS) == {1: 5}


def test_a_topic_counts_what_is_stored_and_what_ever_was() -> None:
    topic = TopicState(topic="t", bounds=BOUNDS)
    assert (topic.partitions, topic.records, topic.end) == (3, 13, 18)
