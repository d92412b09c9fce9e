"""All that pages are made of, as it was at one moment; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
class Picture:
    """The bus as it was last seen.

    Args:
        survey: what was seen.
        rates: events a second; None: not known yet.
        history: how far groups were behind, oldest first.
        titles: what contracts call their topics.
    """

    survey: Survey
    rates: Rates | None = None
    history: Sequence[Mark] = ()
    titles: Titles = lambda topic: {}

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


def is_hidden(topic: str) -> bool:
    """Whether a topic is shown only to who asks for everything."""
    return is_internal(topic) or is_aside(topic)
