"""What a benchmark is made of: scenarios, contenders, cases, measures, tasks."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any, Literal, Self

from bus.settings import Settings, load

Engine = Literal["embedded", "kafka"]

ENGINES: Mapping[Engine, str] = {"embedded": "the embedded broker", "kafka": "Apache Kafka"}

Stage = Literal["bus", "engines", "nothing"]
"""What stands before a scenario's contenders run: a bus on the chosen engine (with its registry),
both engines side by side, or nothing, as the contenders start what they measure."""


class Unverified(Exception):
    """A run whose data were not what they should be; it has no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One quantity that every contender reports.

    Args:
        name: its key in what a contender returns, and its name on the page.
        unit: what it is counted in.
        better: whether more of it is better, or less.
        digits: behind the decimal point, on the page.
    """

    name: str
    unit: str
    better: Literal["more", "less"]
    digits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One of those that are compared.

    Args:
        name: short, in a-z, 0-9 and -; it becomes part of topics' and groups' names.
        title: what the page calls it.
        run: ``module:function`` of a function from `Task` to a mapping of measures to figures;
            imported in the contender's process alone.
        engine: the engine that it runs on; the one chosen for the whole run if None.
        configs: of the topics that it makes.
    """

    name: str
    title: str
    run: str
    engine: Engine | None = None
    configs: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One variant of a scenario: what the page calls it, and what its contenders are told."""

    name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is measured, who takes part, and how it is verified.

    Args:
        name: on the command line.
        title: the heading on the page.
        what: what is measured; prose for the page.
        verified: how it is known that a run did what it should; prose for the page.
        measures: what every contender reports.
        contenders: the first one is ours, the others are its peers.
        count: how much each run does.
        counted: what ``count`` is a number of: events, seconds, requests; for the page.
        quick: as ``count``, for trying it out.
        stage: what stands before the contenders run.
        cases: the variants, each measured by itself.
        prepare: ``module:function`` that runs once for each case, in a process of its own; its
            answer is handed to the contenders.
        warm: rounds that go before the measured ones and are not counted.
    """

    name: str
    title: str
    what: str
    verified: str
    measures: tuple[Measure, ...]
    contenders: tuple[Contender, ...]
    count: int
    counted: str
    quick: int
    stage: Stage = "bus"
    cases: tuple[Case, ...] = (Case(),)
    prepare: str | None = None
    warm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One contender's run.

    Args:
        name: of this run alone; names topics and groups.
        count: how much to do.
        bootstrap: the engine; empty where the contender starts what it measures.
        registry: the registry's URL; empty where there is none.
        case: the case's values.
        prepared: what the scenario's preparation answered.
        folder: the scenario's own, which is gone after it.
        configs: of the topics that it makes.
    """

    name: str
    count: int
    bootstrap: str = ""
    registry: str = ""
    case: Mapping[str, Any] = field(default_factory=dict)
    prepared: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    configs: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """How our own library reaches the bus."""
        return load(
            {"kafka.bootstrap": self.bootstrap, "registry.url": self.registry or None}, environ={}
        )

    @property
    def warm(self) -> int:
        """How much goes before the clock starts; it is verified like all the rest."""
        return min(500, self.count)

    @property
    def topic(self) -> str:
        """A topic of this run alone."""
        return f"bench.{self.name}.v1"

    @property
    def group(self) -> str:
        """A group of this run alone."""
        return f"de.agency.bench.{self.name}"

    def to_text(self) -> str:
        """Return the task as one argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the task that `to_text` wrote."""
        return cls(**json.loads(text))


def resolve(place: str) -> Any:
    """Return the function at ``module:function``."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
