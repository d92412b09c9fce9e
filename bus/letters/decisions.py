"""What was decided about dead letters, as records and in memory. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from bus.kafka import Fetched, Record
from bus.letters.letter import Letter

DECISIONS = "_stadtbus.dead"
"""The topic of decisions: one partition, so that they have one order."""

LONGEST_REASON = 1000
"""Characters of a reason that are kept."""


class Action(StrEnum):
    """What became of a letter."""

    redriven = "redriven"
    discarded = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody decided about a letter.

    Args:
        topic, partition, offset: the letter's place.
        at_ms: when the letter was appended; tells it from one of a topic that was made anew.
        action: what became of it.
        who: who decided.
        when: when, in RFC 3339.
        reason: why; what the letter was set aside for is another matter.
        group: who had refused it.
        origin: where the event was.
    """

    topic: str
    partition: int
    offset: int
    at_ms: int
    action: Action
    who: str
    when: str
    reason: str
    group: str
    origin: str

    def record(self) -> Record:
        """Return the decision as a record of `DECISIONS`."""
        key = f"{self.topic}/{self.partition}/{self.offset}"
        value = {"v": 1, **asdict(self)}
        return Record(key.encode(), json.dumps(value, ensure_ascii=False).encode())


def decision(letter: Letter, action: Action, who: str, when: str, reason: str) -> Decision:
    """Return a decision about a letter."""
    return Decision(
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        at_ms=letter.at_ms,
        action=action,
        who=who,
        when=when,
        reason=reason[:LONGEST_REASON],
        group=letter.group,
        origin=letter.origin,
    )


def read_decision(record: Fetched) -> Decision | None:
    """Return the decision that a record is; None if it is none that we can read."""
    try:
        said = json.loads(record.value or b"")
        return Decision(
            topic=str(said["topic"]),
            partition=int(said["partition"]),
            offset=int(said["offset"]),
            at_ms=int(said["at_ms"]),
            action=Action(said["action"]),
            who=str(said["who"]),
            when=str(said["when"]),
            reason=str(said["reason"]),
            group=str(said["group"]),
            origin=str(said["origin"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


class Decisions:
    """The decisions about letters that are still there, by letter."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, int], dict[int, Decision]] = {}

    def note(self, decided: Decision) -> None:
        """Take a decision in; one about the same letter gives way, unless it was the first."""
        there = self._by_place.setdefault((decided.topic, decided.partition), {})
        known = there.get(decided.offset)
        if known is None or known.at_ms != decided.at_ms:
            there[decided.offset] = decided

    def of(self, letter: Letter) -> Decision | None:
        """Return what was decided about a letter; None while it waits."""
        found = self._by_place.get((letter.topic, letter.partition), {}).get(letter.offset)
        return found if found is not None and found.at_ms == letter.at_ms else None

    def __contains__(self, decided: Decision) -> bool:
        return decided == self._by_place.get((decided.topic, decided.partition), {}).get(
            decided.offset
        )

    def count(self, topic: str, bounds: Mapping[int, tuple[int, int]]) -> dict[Action, int]:
        """Return how many letters between a topic's bounds were decided about, by action.

        What lies outside is forgotten: the letters were deleted, or their topic made anew.
        """
        counts = dict.fromkeys(Action, 0)
        for partition, (first, end) in bounds.items():
            there = self._by_place.get((topic, partition), {})
            for offset in [offset for offset in there if not first <= offset < end]:
                del there[offset]
            for decided in there.values():
                counts[decided.action] += 1
        return counts

    def __iter__(self) -> Iterator[Decision]:
        for there in self._by_place.values():
            yield from there.values()
