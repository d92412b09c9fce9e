"""What contenders run against: engines and a registry, started for one scenario."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.bench.model import Engine, Scenario, Unverified
from ops.kafka import cluster, missing
from ops.node import NodeProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an engine and its registry are; an empty registry is none."""

    bootstrap: str
    registry: str = ""


@contextmanager
def staged(scenario: Scenario, engine: Engine, folder: Path) -> Iterator[Mapping[Engine, Place]]:
    """Start what a scenario needs, for the time of a block.

    Raises:
        Missing: it needs Apache Kafka, and something for that is not on this machine.
        Unverified: a node ended instead of starting.
    """
    engines = {contender.engine or engine for contender in scenario.contenders}
    if "kafka" in engines and (lacking := missing()):
        raise lacking
    with ExitStack() as running:
        match scenario.stage:
            case "nothing":
                yield {}
            case "bus":
                yield {engine: running.enter_context(_bus(engine, folder))}
            case "engines":
                yield {
                    one: running.enter_context(_engine(one, folder / one))
                    for one in sorted(engines)
                }


@contextmanager
def _bus(engine: Engine, folder: Path) -> Iterator[Place]:
    with ExitStack() as running:
        arguments: tuple[str, ...] = ()
        if engine == "kafka":
            arguments = ("--kafka", running.enter_context(_apache(folder / "kafka")))
        node = running.enter_context(_node(folder / "node", *arguments))
        yield Place(bootstrap=node.ready["broker"], registry=node.ready["registry"])


@contextmanager
def _engine(engine: Engine, folder: Path) -> Iterator[Place]:
    if engine == "kafka":
        with _apache(folder) as bootstrap:
            yield Place(bootstrap=bootstrap)
    else:
        with _node(folder, "--roles", "broker") as node:
            yield Place(bootstrap=node.ready["broker"])


@contextmanager
def _node(folder: Path, *arguments: str) -> Iterator[NodeProcess]:
    node = NodeProcess(folder, *arguments)
    try:
        node.start()
    except RuntimeError as error:
        raise Unverified(str(error)) from error
    try:
        yield node
    finally:
        node.stop()


@contextmanager
def _apache(folder: Path) -> Iterator[str]:
    # A loop of its own: what runs in between is not async, and takes long.
    with asyncio.Runner() as runner:
        starting = cluster(folder)
        running = runner.run(starting.__aenter__())
        try:
            yield running.bootstrap
        finally:
            runner.run(starting.__aexit__(None, None, None))
