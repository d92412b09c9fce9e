"""The embedded broker in a process of its own for each run, watched while it works."""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ops.bench.contenders.idle import idle_loop
from ops.bench.contenders.records import (
    consume_aiokafka,
    make_topic,
    produce_aiokafka,
    produce_one_by_one,
)
from ops.bench.contenders.start import as_installed, megabytes
from ops.bench.model import Task, Unverified
from ops.node import NodeProcess

LONGEST_TURN = "stadtbus_event_loop_longest_turn_seconds"
LONGEST_STEP = "stadtbus_storage_longest_step_seconds"
TOLD_AFTER = 1.5
"""Seconds after which the broker has told the longest turn of what went before."""

WRITE_AHEAD = "broker/broker.db-wal"
T = TypeVar("T")

MEGABYTE = 1_000_000
PER_MEGABYTE = 5_000
"""Records of 200 bytes in it."""


def one_partition(task: Task) -> Mapping[str, float]:
    """Produce to and consume from a topic of one partition."""
    return _bulk(task, 1)


def hundred_partitions(task: Task) -> Mapping[str, float]:
    """Produce to and consume from a topic of a hundred partitions."""
    return _bulk(task, 100)


def _bulk(task: Task, partitions: int) -> Mapping[str, float]:
    with _node(task) as (node, run, _):
        asyncio.run(make_topic(run, partitions))
        begun = _processor_seconds(node.pid)
        produced = asyncio.run(produce_aiokafka(run, partitions))
        writing = _processor_seconds(node.pid)
        consumed = asyncio.run(consume_aiokafka(run, partitions))
        reading = _processor_seconds(node.pid)
    return {
        "produce": task.count / produced,
        "consume": task.count / consumed,
        "processor time of the broker, produce": (writing - begun) / task.count * 1e6,
        "processor time of the broker, consume": (reading - writing) / task.count * 1e6,
    }


def under_load(task: Task) -> Mapping[str, float]:
    """Watch the event loop and the write-ahead log while the case's load runs."""
    load: Callable[[Task], None] = _LOADS[task.case["load"]]
    with _node(task) as (node, run, folder):
        asyncio.run(make_topic(run, _PARTITIONS.get(task.case["load"], 1)))
        time.sleep(TOLD_AFTER)  # what it did to start is told by then
        with (
            noted(folder / WRITE_AHEAD, _size) as sizes,
            noted(node, partial(told, LONGEST_TURN)) as turns,
            idle_loop() as idle,
        ):
            load(run)
            time.sleep(TOLD_AFTER)
    return {
        "longest turn": max(turns) * 1000,
        "longest turn of an idle loop beside it": idle() * 1000,
        "write-ahead log": max(sizes) / MEGABYTE,
    }


def _in_bulk(task: Task) -> None:
    asyncio.run(produce_aiokafka(task, 1))


def _in_bulk_to_many(task: Task) -> None:
    asyncio.run(produce_aiokafka(task, _PARTITIONS["many"]))


def _one_by_one(task: Task) -> None:
    produce_one_by_one(replace(task, count=min(task.count, PIPELINED)))


def _with_readers(task: Task) -> None:
    """Produce while two readers go through all that is there, again and again."""

    async def read_on(ended: asyncio.Event, reader: Task) -> None:
        while not ended.is_set():
            await consume_aiokafka(reader, 1)

    async def both() -> None:
        await produce_aiokafka(task, 1)
        ended = asyncio.Event()
        readers = [asyncio.create_task(read_on(ended, task)) for _ in range(2)]
        other = replace(task, name=f"{task.name}-other")
        await make_topic(other, 1)
        await produce_aiokafka(other, 1)
        ended.set()
        await asyncio.gather(*readers)

    asyncio.run(both())


PIPELINED = 30_000
"""Requests of one record each, sent without waiting for answers."""

_LOADS: Mapping[str, Callable[[Task], None]] = {
    "bulk": _in_bulk,
    "many": _in_bulk_to_many,
    "pipelined": _one_by_one,
    "readers": _with_readers,
}
_PARTITIONS = {"many": 100}


def loaded(task: Task) -> Mapping[str, float]:
    """Read the broker's memory once so many records went through it."""
    with _node(task) as (node, run, _):
        idle = megabytes(node.pid)
        asyncio.run(make_topic(run, 1))
        asyncio.run(produce_aiokafka(run, 1))
        asyncio.run(consume_aiokafka(run, 1))
        return {"before": idle, "after": megabytes(node.pid)}


@contextmanager
def _node(task: Task) -> Iterator[tuple[NodeProcess, Task, Path]]:
    """Start a node with nothing but the broker; yield it, the task on it, and its folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        node = NodeProcess(folder, "--roles", "broker", prefix=slow_sync(task.case))
        try:
            node.start()
        except RuntimeError as error:
            raise Unverified(str(error)) from error
        try:
            yield node, replace(task, bootstrap=node.ready["broker"]), folder
        finally:
            node.stop()


def slow_sync(case: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the command that makes every sync of what it starts take so many milliseconds more."""
    milliseconds = case.get("sync")
    if not milliseconds:
        return ()
    return (
        # Its own process is a grandchild, so that the broker stays ours to stop.
        *("strace", "--daemonize", "--follow-forks", "--seccomp-bpf", "--quiet=all"),
        "--output=/dev/null",
        "--trace=fsync,fdatasync",
        f"--inject=fsync,fdatasync:delay_exit={milliseconds * 1000}",
    )


@contextmanager
def noted(what: T, look: Callable[[T], tuple[float, float]]) -> Iterator[list[float]]:
    """Look at something again and again, for the time of a block and once after it.

    Args:
        what: is looked at.
        look: returns what it is now, and after how many seconds to look again.
    """
    over = threading.Event()
    (found, pause), seen = look(what), list[float]()

    def watch() -> None:
        nonlocal found, pause
        while not over.wait(pause):
            found, pause = look(what)
            seen.append(found)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        over.set()
        watching.join()
        seen.append(look(what)[0])


def _size(file: Path) -> tuple[float, float]:
    return (file.stat().st_size if file.exists() else 0), 0.01


def told(metric: str, node: NodeProcess) -> tuple[float, float]:
    """Return a metric of the last second, and look again before the next one is over."""
    return max(series(metric, node, loop="node")), 0.5


def series(metric: str, node: NodeProcess, **labels: str) -> list[float]:
    """Return what each series of a metric tells now that has these labels, as far as it has them.

    Raises:
        Unverified: there is no such metric.
    """
    asked = httpx.get(f"{node.ready['ops']}/metrics", params={"name[]": metric}, timeout=30.0)
    values = [
        sample.value
        for family in text_string_to_metric_families(asked.raise_for_status().text)
        for sample in family.samples
        if sample.name == metric
        and all(sample.labels.get(name, value) == value for name, value in labels.items())
    ]
    if not values:
        raise Unverified(f"there is no metric {metric}")
    return values


def _processor_seconds(pid: int) -> float:
    """Return what a process has used so far (proc(5), fields 14 and 15 of stat)."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    ticks = stat.rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def opened_empty(task: Task) -> Mapping[str, float]:
    """Open a store in which nothing is."""
    return _opened(Path(task.folder) / "empty")


def opened_large(task: Task) -> Mapping[str, float]:
    """Open the store that `fill` made."""
    return _opened(Path(task.folder) / "large")


def _opened(folder: Path) -> Mapping[str, float]:
    node = NodeProcess(folder, "--roles", "broker", environment=as_installed(folder))
    begun = time.perf_counter()
    with node:
        return {"ready": time.perf_counter() - begun}


def fill(task: Task) -> Mapping[str, Any]:
    """Make an empty store and a large one, of so many megabytes of records of 200 bytes."""
    for name in ("empty", "large"):
        with NodeProcess(Path(task.folder) / name, "--roles", "broker") as node:
            run = replace(task, bootstrap=node.ready["broker"], count=task.count * PER_MEGABYTE)
            asyncio.run(make_topic(run, 1))
            if name == "large":
                asyncio.run(produce_aiokafka(run, 1))
    size = (Path(task.folder) / "large" / "broker/broker.db").stat().st_size
    if size < task.count * MEGABYTE:
        raise Unverified(f"the large store has {size} bytes")
    return {}
