"""What the demo's programs said they did: the demo's account of every event."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Ledger:
    """Counts events by id, so that a loss cannot hide behind a repeat.

    Args:
        subscriptions: the topic that each group reads.
    """

    subscriptions: Mapping[str, str]
    published: int = 0
    refused: int = 0
    dead_letters: int = 0
    late: int = 0
    _acknowledged: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _delivered: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def acknowledge(self, topic: str, ids: Iterable[str]) -> None:
        """Note events that the bus said it has."""
        self._acknowledged[topic].update(ids)

    def deliver(self, group: str, ids: Iterable[str]) -> None:
        """Note events whose handler finished."""
        self._delivered[group].update(ids)

    def come_late(self, group: str, ids: Iterable[str]) -> None:
        """Note events that a group got, and left out because they came too late to count."""
        new = set(ids) - self._delivered[group]
        self.late += len(new)
        self.deliver(group, new)

    @property
    def acknowledged(self) -> int:
        """How many events the bus said it has."""
        return sum(map(len, self._acknowledged.values()))

    @property
    def acknowledged_ids(self) -> set[str]:
        """The ids of the events that the bus said it has."""
        return set().union(*self._acknowledged.values())

    @property
    def handled(self) -> int:
        """How many events the groups have handled in all, those of earlier runs included."""
        return sum(map(len, self._delivered.values()))

    @property
    def delivered(self) -> dict[str, int]:
        """How many events reached each group, counting only those that were acknowledged."""
        return {
            group: len(self._delivered[group] & self._acknowledged[topic])
            for group, topic in self.subscriptions.items()
        }

    @property
    def missing(self) -> int:
        """How many deliveries are still to come: acknowledged events that a group did not get."""
        return sum(
            len(self._acknowledged[topic] - self._delivered[group])
            for group, topic in self.subscriptions.items()
        )

    def summary(self, ready_seconds: float, *, settled: bool) -> dict[str, Any]:
        """Return what the demo says at its end.

        Args:
            ready_seconds: from the start of the process until every part was ready.
            settled: every subscriber was given the time to read to the end; otherwise what is
                missing is not lost but only not delivered yet, and ``lost`` is None.
        """
        return {
            "published": self.published,
            "acknowledged": self.acknowledged,
            "refused": self.refused,
            "delivered": self.delivered,
            "late": self.late,
            "dead_letters": self.dead_letters,
            "lost": self.missing if settled else None,
            "ready_seconds": round(ready_seconds, 2),
        }
