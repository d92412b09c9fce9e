"""What a failover campaign does to a cluster, round by round: pure."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What befalls a broker."""

    KILL = "kill"  # SIGKILL, as a power cut of one machine; started again later
    PAUSE = "pause"  # SIGSTOP: connections stay open and nobody answers; resumed later


class Target(StrEnum):
    """Which broker it befalls."""

    LEADER = "leader"  # of a partition of the topic under load
    CONTROLLER = "controller"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One fault."""

    fault: Fault
    target: Target

    def __str__(self) -> str:
        return f"{self.fault} {self.target}"


def plan(seed: int) -> Iterator[Round]:
    """Yield rounds without end; any six that begin at a multiple of six hold every combination."""
    choose = random.Random(seed)
    every = [Round(fault=f, target=t) for f, t in itertools.product(Fault, Target)]
    while True:
        yield from choose.sample(every, len(every))
