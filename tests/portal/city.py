"""A bus as a watch has seen it, made up: for tests that look at pages."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bus.watch.expected import Expected
from bus.watch.rates import Mark
from bus.watch.survey import GroupState, Subscription, Survey, TopicState

NOW = 1_800_000_000.0
"""Seconds since 1970, for tests that need no clock."""

ADDRESSES, READINGS = "address.building-changed.v1", "sensor.reading.v1"


def topic(name: str, end: int = 1000, **facts: float | None) -> TopicState:
    """Return a topic with one partition, which keeps events for a week."""
    known = {"newest": NOW - 2.0, "retention": 604_800.0, "size": 1_234_567, **facts}
    return TopicState(topic=name, bounds={0: (0, end)}, **known)  # type: ignore[arg-type]


def subscription(group: str = "count_report", name: str = READINGS, **facts: Any) -> Subscription:
    """Return a subscription that has read everything."""
    known: dict[str, Any] = {"records": 0, "seconds": 0.0, "positions": {0: 1000}, "moved": NOW}
    return Subscription(group=group, topic=name, **(known | facts))


def survey(
    topics: Sequence[TopicState] = (),
    subscriptions: Sequence[Subscription] = (),
    *,
    dead: Mapping[str, int] | None = None,
    at: float = NOW,
) -> Survey:
    """Return a survey; every group has two members."""
    groups: dict[str, dict[str, Subscription]] = {}
    for one in subscriptions:
        groups.setdefault(one.group, {})[one.topic] = one
    return Survey(
        at=at,
        took=0.02,
        topics={one.topic: one for one in topics},
        groups={
            name: GroupState(group=name, state="stable", members=2, subscriptions=read)
            for name, read in groups.items()
        },
        dead=dead or {},
    )


@dataclass(slots=True)
class Watch:
    """A watch that has seen what a test says."""

    latest: Survey | None = None
    previous: Survey | None = None
    history: Sequence[Mark] = ()
    expected: Mapping[str, Expected] = field(default_factory=dict)
    silence: float | None = None

    def see(self, seen: Survey) -> None:
        """Take in a survey."""
        self.previous, self.latest = self.latest, seen


def town(at: float | None = None) -> Watch:
    """Return what a watch sees of a small town, one subscriber late, one past saving."""
    at = time.time() if at is None else at
    readings = topic(READINGS, 48_210, newest=at - 0.8, size=9_412_331)
    addresses = topic(ADDRESSES, 3_120, newest=at - 42.0, retention=None, size=812_400)
    traffic = topic("mobility.traffic-load.v1", 120_455, newest=at - 1.2, size=31_000_000)
    permits = topic("building.permit-granted.v1", 0, newest=None, size=0)
    late = subscription(
        records=1222, seconds=47.0, promise=30.0, moved=at - 4.0, positions={0: 46_988}
    )
    book = subscription("address_book", ADDRESSES, positions={0: 3_120}, moved=at - 40.0)
    map_ = subscription(
        "traffic_view", traffic.topic, records=35, seconds=1.4, promise=60.0, moved=at - 1.0,
        positions={0: 120_420},
    )  # fmt: skip
    archive = subscription(
        "archive", READINGS, records=12_400, seconds=612_000.0, lost=830, moved=at - 86_400.0,
        positions={0: 35_810},
    )  # fmt: skip
    newcomer = subscription(
        "newcomer", ADDRESSES, records=3_120, seconds=None, moved=None, positions={}
    )
    topics = [readings, addresses, traffic, permits, topic("_schemas", 12, newest=at - 900)]
    read = [late, book, map_, archive, newcomer]
    dead = {"dead.de.mun.110000000000.sensor.reading.v1": 2}
    before = [
        replace(one, bounds={0: (0, max(one.end - flown, 0))})
        for one, flown in zip(topics, (80, 0, 50, 0, 0), strict=True)
    ]
    earlier = [
        replace(late, positions={0: 46_913}, records=900),
        book,
        replace(map_, positions={0: 120_370}),
        archive,
        newcomer,
    ]
    watch = Watch()
    watch.see(survey(before, earlier, dead=dead, at=at - 5.0))
    watch.see(survey(topics, read, dead=dead, at=at))
    watch.history = [
        Mark(
            at=at - 65.0,
            records={
                ("count_report", READINGS): 700,
                ("archive", READINGS): 12_400,
                ("address_book", ADDRESSES): 20,
                ("traffic_view", traffic.topic): 35,
            },
        )
    ]
    return watch
