"""What only grows from one survey to the next: events in, committed and lost. Pure.

A total begins with what can be seen at first, so that it goes on from there after a restart of the
watch, and counts nothing twice where a broker does not answer for a while.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bus.watch.survey import Bounds, Subscription, Survey

_Key = tuple[str, str]
"""A group, and a topic."""


class _Read(NamedTuple):
    """What was known of a group on a partition: the log's start, and the group's position."""

    start: int
    position: int


class Totals:
    """Totals by topic, and by group and topic.

    Attributes:
        appended: records that were ever appended, by topic, by the ends of its partitions.
        committed: records that a group has committed since it was first seen.
        lost: records that were deleted unread: the log's start has passed the group's position.
    """

    def __init__(self) -> None:
        self.appended: dict[str, int] = {}
        self.committed: dict[_Key, int] = {}
        self.lost: dict[_Key, int] = {}
        self._ends: dict[str, dict[int, int]] = {}
        self._read: dict[_Key, dict[int, _Read]] = {}

    def take(self, survey: Survey) -> None:
        """Count what a survey found, and forget topics and groups that are gone."""
        for topic, state in survey.topics.items():
            self._append(topic, {p: end for p, (_, end) in state.bounds.items()})
        subscriptions = list(survey.subscriptions())
        for one in subscriptions:
            if one.topic in survey.topics:
                self._advance(one, survey.topics[one.topic].bounds)
        self._forget(survey.topics.keys(), {(one.group, one.topic) for one in subscriptions})

    def _append(self, topic: str, ends: Mapping[int, int]) -> None:
        before = self._ends.get(topic)
        if before is None:
            self._ends[topic], self.appended[topic] = dict(ends), sum(ends.values())
            return
        self.appended[topic] += sum(
            max(end - before.get(partition, end), 0) for partition, end in ends.items()
        )
        before.update(ends)

    def _advance(self, one: Subscription, bounds: Bounds) -> None:
        key = (one.group, one.topic)
        if key not in self._read:
            self._read[key], self.committed[key], self.lost[key] = {}, 0, one.lost
        known = self._read[key]
        for partition, (start, end) in bounds.items():
            position, before = one.positions.get(partition), known.get(partition)
            if position is None:
                # Where it begins can be known only of an empty log: its start is its end.
                if start == end:
                    known[partition] = _Read(start, end)
                continue
            if before is not None:
                self.committed[key] += max(position - before.position, 0)
                passed = max(before.start, before.position, position)
                self.lost[key] += max(start - passed, 0)
            known[partition] = _Read(start, position)

    def _forget(self, topics: Iterable[str], keys: Iterable[_Key]) -> None:
        for topic in self._ends.keys() - set(topics):
            del self._ends[topic], self.appended[topic]
        for key in self._read.keys() - set(keys):
            del self._read[key], self.committed[key], self.lost[key]
