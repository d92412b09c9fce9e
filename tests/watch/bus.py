"""Surveys made by hand."""

from collections.abc import Mapping

from bus.watch.survey import GroupState, Subscription, Survey, TopicState


def surveyed(
    at: float,
    topics: Mapping[str, Mapping[int, tuple[int, int]]],
    subscriptions: list[Subscription] | None = None,
    *,
    retention: float | None = None,
) -> Survey:
    """Return a survey of topics by their bounds, and of subscriptions."""
    groups: dict[str, dict[str, Subscription]] = {}
    for one in subscriptions or ():
        groups.setdefault(one.group, {})[one.topic] = one
    return Survey(
        at=at,
        took=0.5,
        topics={
            name: TopicState(
                topic=name, bounds=bounds, newest=at - 3, retention=retention, size=100
            )
            for name, bounds in topics.items()
        },
        groups={
            name: GroupState(group=name, state="stable", members=1, subscriptions=of)
            for name, of in groups.items()
        },
        dead={},
    )


def behind(
    group: str = "de.a.b",
    topic: str = "t",
    *,
    positions: Mapping[int, int] | None = None,
    records: int = 0,
    seconds: float | None = 0.0,
    promise: float | None = None,
    lost: int = 0,
    ahead: int = 0,
) -> Subscription:
    """Return a subscription."""
    return Subscription(
        group=group,
        topic=topic,
        records=records,
        seconds=seconds,
        lost=lost,
        ahead=ahead,
        promise=promise,
        moved=1.0,
        positions={0: 5} if positions is None else positions,
    )
