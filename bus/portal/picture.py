"""All that pages are made of, as it was at one moment; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bus.watch.expected import Expected
from bus.watch.names import is_aside, is_internal
from bus.watch.rates import Mark, Rates, Trend, trend
from bus.watch.survey import GroupState, Survey, TopicState

STALE = 30.0
"""Seconds after which a survey is no longer taken for how things are, if surveys are quick."""

STALE_TIMES = 30
"""A survey that took longer than a second is good for so many times as long."""

Titles = Callable[[str], Mapping[str, str]]
"""Returns what a topic's contract calls it, by language; nothing if no contract is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A topic that gets fewer events than its contract says.

    Args:
        topic: its name.
        seconds: how long nothing came.
        interval: in how many seconds an event is to be expected.
    """

    topic: str
    seconds: float
    interval: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """The bus as it was last seen; each is another one, so that what is made of it can be kept.

    Args:
        survey: what was seen.
        rates: events a second; None: not known yet.
        history: how far groups were behind, oldest first.
        titles: what contracts call their topics.
        expected: how often contracts expect an event, by topic, as far as this node knows.
    """

    survey: Survey
    rates: Rates | None = None
    history: Sequence[Mark] = ()
    titles: Titles = lambda topic: {}
    expected: Mapping[str, Expected] = field(default_factory=dict)

    def stale(self, now: float) -> bool:
        """Whether the survey tells no more how things are now (seconds since 1970)."""
        return now - self.survey.at > max(STALE, STALE_TIMES * self.survey.took)

    def topics(self, *, everything: bool = False) -> Sequence[TopicState]:
        """Return the topics; those that are the bus's own only if everything is asked for."""
        topics = self.survey.topics.values()
        return [one for one in topics if everything or not is_hidden(one.topic)]

    def groups(self, *, everything: bool = False) -> Sequence[GroupState]:
        """Return the groups; those that are the bus's own only if everything is asked for."""
        groups = self.survey.groups.values()
        return [one for one in groups if everything or not is_internal(one.group)]

    def received(self, topic: str) -> float | None:
        """Return how many events a second a topic gets; None: not known yet."""
        return self.rates.published.get(topic) if self.rates else None

    def sent(self, group: str, topic: str) -> float | None:
        """Return how many events a second a group handles of a topic; None: not known yet."""
        return self.rates.consumed.get((group, topic)) if self.rates else None

    def trend(self, group: str, topic: str) -> Trend | None:
        """Return where a lag is going; None: not known yet."""
        return trend(self.history, group, topic)

    def silent(self, now: float) -> Sequence[Silent]:
        """Return the topics that are silent (seconds since 1970), the longest silent first.

        A topic that holds no record counts from when its contract began to expect events, and only
        where a group reads it: as the alarm does.
        """
        topics = self.survey.topics
        read = {topic for group in self.groups() for topic in group.subscriptions}
        found = []
        for name, expected in self.expected.items():
            topic = topics.get(name)
            if topic is None:
                continue
            since = topic.newest
            if since is None and topic.records == 0 and name in read:
                since = expected.since
            if since is not None and now - since > expected.interval:
                found.append(Silent(topic=name, seconds=now - since, interval=expected.interval))
        return tuple(sorted(found, key=lambda one: -one.seconds))


def is_hidden(topic: str) -> bool:
    """Whether a topic is shown only to who asks for everything."""
    return is_internal(topic) or is_aside(topic)
