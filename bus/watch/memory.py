"""What a surveyor remembers from one survey to the next, so as not to ask again. Pure."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from bus.kafka import Place
from bus.watch.survey import Survey

FACTS_AGE = 60.0
"""Seconds for which a topic's retention and size are good enough."""

FACTS_AT_ONCE = 400
"""Topics whose retention and size one survey asks for, if it need not ask for all."""

_Key = tuple[Place, int]
"""A partition, and an offset in it."""


EARLIEST = 1_293_840_000.0
"""2011, when Kafka came out, in seconds since 1970: no record is older, whatever it says."""


class _Time(NamedTuple):
    """When the first record at or after an offset was appended, and the end it was seen under."""

    time: float | None
    end: int


class _Facts(NamedTuple):
    retention: float | None
    size: int | None
    asked: float


class _Newest(NamedTuple):
    end: int
    time: float | None


def plausible(time: float, now: float) -> float:
    """Return when a record was appended at the latest, which says any time and was seen now."""
    return now if time < EARLIEST else min(time, now)


class Memory:
    """Times of records, facts about topics, and when positions moved."""

    def __init__(self) -> None:
        self._times: dict[_Key, _Time] = {}
        self._facts: dict[str, _Facts] = {}
        self._newest: dict[str, _Newest] = {}
        self._moved: dict[tuple[str, str], tuple[dict[int, int], float]] = {}
        self._ends: Mapping[Place, int] = {}
        self._looked = 0.0

    def times(
        self, wanted: Collection[_Key], ends: Mapping[Place, int]
    ) -> dict[_Key, float | None]:
        """Return what is known of offsets.

        A record's time stays what it is. That there is none holds as long as the end does.
        """
        kept = {key: self._times[key] for key in wanted if key in self._times}
        return {
            key: one.time
            for key, one in kept.items()
            if ends[key[0]] == one.end or (one.time is not None and ends[key[0]] > one.end)
        }

    def learn(
        self, times: Mapping[_Key, float | None], ends: Mapping[Place, int], now: float
    ) -> dict[_Key, float | None]:
        """Remember and return when records were appended.

        Where a topic leaves that to publishers (``CreateTime``), a record may say any time. It was
        appended before it was seen, and after the last survey if that ended before it.

        Args:
            times: when the records say that they were, by the offsets that were asked for.
            ends: the end of each partition.
            now: this moment, in seconds since 1970.
        """
        learnt = {key: self._bounded(key, time, now) for key, time in times.items()}
        self._times.update((key, _Time(time, ends[key[0]])) for key, time in learnt.items())
        self._ends, self._looked = ends, now
        return learnt

    def _bounded(self, key: _Key, time: float | None, now: float) -> float | None:
        if time is None:
            return None
        place, offset = key
        if offset >= self._ends.get(place, offset + 1):
            time = max(time, self._looked)
        return plausible(time, now)

    def due(self, topics: Collection[str], now: float) -> list[str]:
        """Return the topics whose facts have to be asked for: new ones, and some of the oldest."""
        new = [topic for topic in topics if topic not in self._facts]
        old = [t for t in topics if t in self._facts and now - self._facts[t].asked >= FACTS_AGE]
        old.sort(key=lambda topic: self._facts[topic].asked)
        return [*new, *old[: max(FACTS_AT_ONCE - len(new), 0)]]

    def note(
        self,
        topics: Collection[str],
        retentions: Mapping[str, float | None],
        sizes: Mapping[str, int],
        now: float,
    ) -> None:
        """Remember facts about topics."""
        for topic in topics:
            self._facts[topic] = _Facts(retentions.get(topic), sizes.get(topic), now)

    def facts(self, topic: str) -> tuple[float | None, int | None]:
        """Return a topic's retention in seconds and its size in bytes, as far as they are known."""
        known = self._facts.get(topic)
        return (known.retention, known.size) if known else (None, None)

    def newest(
        self,
        topic: str,
        bounds: Mapping[int, tuple[int, int]],
        times: Mapping[_Key, float | None],
        now: float,
    ) -> float | None:
        """Return when the newest record of a topic was appended.

        Where its last record cannot be read, or is only the mark of a transaction's end, it was
        appended after the last survey if there are more records now; else it is as old as before.
        """
        end = sum(last for _, last in bounds.values())
        keys = [((topic, p), last - 1) for p, (first, last) in bounds.items() if last > first]
        before = self._newest.get(topic)
        known = [time for key in keys if (time := times.get(key)) is not None]
        if before is not None and before.time is not None and before.end <= end:
            known.append(before.time)
        newest = max(known, default=None)
        unseen = any(times.get(key) is None for key in keys)
        if unseen and before is not None and before.end < end:
            newest = now
        self._newest[topic] = _Newest(end, newest)
        return newest

    def knows(self, topic: str) -> bool:
        """Whether a survey has seen the topic before."""
        return topic in self._newest

    def moved(self, group: str, topic: str, positions: dict[int, int], now: float) -> float:
        """Return when a group's positions were last seen to move, or first seen."""
        before, since = self._moved.get((group, topic), ({}, now))
        if before != positions:
            since = now
        self._moved[group, topic] = (positions, since)
        return since

    def forget(self, places: Collection[Place], keys: Collection[_Key], survey: Survey) -> None:
        """Forget what a survey did not meet any more."""
        topics = {topic for topic, _ in places}
        met = {(one.group, one.topic) for one in survey.subscriptions()}
        self._times = {key: one for key, one in self._times.items() if key in keys}
        self._facts = {topic: one for topic, one in self._facts.items() if topic in topics}
        self._newest = {topic: one for topic, one in self._newest.items() if topic in topics}
        self._moved = {key: one for key, one in self._moved.items() if key in met}
