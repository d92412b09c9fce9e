"""A bus of a certain size: what is on it, and the pages that show it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PARTITIONS = 3
"""Of each topic that holds events."""

READS = 3
"""Topics that a group reads."""

PROMISE = 60.0
"""Seconds that each group promises to be behind at the most."""

LATE = 10
"""One of so many groups has not read what is there."""

DOMAINS, MEMBERS = 20, 400
DEAD = 50
"""One of so many topics holds dead letters."""

Positions = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Town:
    """What there is of everything.

    Args:
        count: how many topics; there are two fifths as many groups, and a fifth as many contracts.
    """

    count: int

    @property
    def contracts(self) -> list[str]:
        """The topics that have a contract."""
        return [f"domain-{n % DOMAINS}.reading-{n}.v1" for n in range(self.count // 5)]

    @property
    def dead(self) -> list[str]:
        """The topics of dead letters."""
        return [f"dead.{member(n)}.{one}" for n, one in enumerate(self.contracts[: self._dead])]

    @property
    def topics(self) -> list[str]:
        """The topics that hold events."""
        others = range(self.count - self.count // 5 - self._dead)
        return [*self.contracts, *(f"plain.events-{n}.v1" for n in others)]

    @property
    def groups(self) -> list[str]:
        """The groups that read."""
        return [f"de.agency.office-{n}" for n in range(self.count * 2 // 5)]

    @property
    def _dead(self) -> int:
        return max(self.count // DEAD, 1)

    def positions(self) -> Iterator[tuple[str, Positions]]:
        """Yield how far each group is: each topic has one event, in its first partition."""
        topics = self.topics
        for number, group in enumerate(self.groups):
            reads = [topics[(number * 7 + n) % len(topics)] for n in range(READS)]
            first = 0 if number % LATE == 0 else 1
            yield group, {(t, p): 0 if p else first for t in reads for p in range(PARTITIONS)}


def member(number: int) -> str:
    """Return a member's id."""
    return f"de.mun.{number % MEMBERS:012}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A page as it is asked for.

    Args:
        name: what it is called here.
        path: where it is.
        rows: how many rows its list has at the least; 0: it has none.
    """

    name: str
    path: str
    rows: int = 0


def addresses(town: Town) -> list[Address]:
    """Return every page, and the lists also filtered, sorted and at their end."""
    events, groups = len(town.topics), len(town.groups) * READS
    contracts, dead = len(town.contracts), len(town.dead)
    one = town.contracts[0]
    first = [contract for contract in town.contracts if contract.startswith("domain-0.")]
    asked = [
        ("overview", "/", 0),
        ("topics", "/topics", events),
        ("topics, sorted by age, last page", "/topics?sort=newest&down=1&page=1000000", events),
        ("topics, filtered", "/topics?find=plain", events - contracts),
        ("topics, also the bus's own", "/topics?all=1", events + dead),
        ("subscribers", "/subscribers", groups),
        ("subscribers, sorted by lag", "/subscribers?sort=records&down=1", groups),
        ("subscribers, filtered", "/subscribers?find=domain-0.", 1),
        ("dead letters", "/letters", dead),
        ("dead letters of a topic", f"/letters/of/{town.dead[0]}", 0),
        ("contracts", "/contracts", contracts),
        ("contracts, sorted by readers", "/contracts?sort=readers&down=1", contracts),
        ("contracts, filtered", "/contracts?find=reading&domain=domain-0", len(first)),
        ("a contract", f"/contract?topic={one}", 0),
        ("events", "/tail", events),
        ("events of a topic", f"/tail/topic?topic={one}", 0),
        ("traffic", "/traffic", 0),
        ("node", "/node", 0),
    ]
    return [Address(name=name, path=path, rows=rows) for name, path, rows in asked]


NAMES = tuple(one.name for one in addresses(Town(count=DEAD)))
