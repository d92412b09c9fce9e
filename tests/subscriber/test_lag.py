"""How far groups are behind."""

import time
from datetime import UTC, datetime

import pytest

from bus.admin import Admin
from bus.event import Event
from bus.kafka import LogReader
from bus.publisher import Publisher
from bus.subscriber import Subscriber
from bus.subscriber.lag import GroupLag, lag_of, lags, unread
from tests.city import GROUP, READINGS, SYSTEM, City, reading

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
BOUNDS = {0: (0, 10), 1: (5, 8), 2: (0, 0)}


@pytest.mark.parametrize(
    ("positions", "oldest", "records", "seconds"),
    [
        pytest.param({0: 10, 1: 8, 2: 0}, None, 0, 0.0, id="read to the end: none"),
        pytest.param({0: 4, 1: 8}, MS - 90_000, 6, 90.0, id="age of the oldest unread record"),
        pytest.param({0: 10}, MS, 3, 0.0, id="a partition without position counts from its start"),
        pytest.param({0: 10, 1: 2}, MS - 1000, 3, 1.0, id="what was removed does not count"),
        pytest.param({0: 9}, MS + 5000, 4, 0.0, id="a clock that is behind gives no negative lag"),
        pytest.param({}, MS, 13, None, id="never committed: all is unread, but no time is known"),
    ],
)
def test_lag(
    positions: dict[int, int], oldest: int | None, records: int, seconds: float | None
) -> None:
    assert lag_of("g", "t", positions, BOUNDS, oldest, NOW) == GroupLag(
        group="g", topic="t", records=records, seconds=seconds
    )


def test_what_is_unread() -> None:
    assert unread({0: 10, 1: 2}, BOUNDS) == {1: 5}


async def test_the_lag_of_a_group_that_stopped(city: City) -> None:
    async with Publisher(SYSTEM, city.settings) as publisher:
        await publisher.publish_many(READINGS, [reading(n) for n in range(5)])
        async with Subscriber(GROUP, [READINGS], city.settings) as subscriber:

            async def handle(event: Event) -> None:
                if event.data and event.data["result"] == 4.0:
                    subscriber.stop()

            await subscriber.run(handle)
        async with Admin(city.settings.kafka) as admin, LogReader(city.settings.kafka) as reader:
            (none,) = await lags(admin, reader)
            assert (none.group, none.topic, none.records) == (GROUP, READINGS, 0)
            assert none.seconds == 0.0
            before = time.time()
            await publisher.publish_many(READINGS, [reading(n) for n in range(7)])
            (some,) = await lags(admin, reader, [GROUP])
            assert some.records == 7
            assert some.seconds is not None
            assert 0 <= some.seconds <= time.time() - before + 0.001
            assert await lags(admin, reader, ["de.agency.statistik.nobody"]) == []
