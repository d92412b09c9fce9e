"""An engine from the start of its process to ready, left alone, and under its first load."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bus.admin import Admin
from bus.settings import KafkaSettings
from ops.bench.contenders.records import consume_aiokafka, make_topic, produce_aiokafka
from ops.bench.model import Task
from ops.kafka import cluster
from ops.node import NodeProcess

IDLE_SECONDS = 2.0
"""How long the engine is left alone before its memory is read."""

Started = tuple[str, int, float]
"""Where the engine is, its process id, and the seconds that it took to be ready."""

Starting = Callable[[Path], AbstractAsyncContextManager[Started]]


def embedded(task: Task) -> Mapping[str, float]:
    """Measure `stadtbus serve --roles broker`."""
    return asyncio.run(_measured(task, _embedded))


def kafka(task: Task) -> Mapping[str, float]:
    """Measure Apache Kafka."""
    return asyncio.run(_measured(task, _kafka))


async def _measured(task: Task, starting: Starting) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        async with starting(Path(folder)) as (bootstrap, pid, seconds):
            await asyncio.sleep(IDLE_SECONDS)
            idle = megabytes(pid)
            load = replace(task, bootstrap=bootstrap)
            await make_topic(load, 1)
            produced = await produce_aiokafka(load, 1)
            consumed = await consume_aiokafka(load, 1)
            return {
                "ready": seconds,
                "idle memory": idle,
                "loaded memory": megabytes(pid),
                "first produce": task.count / produced,
                "first consume": task.count / consumed,
            }


def as_installed(folder: Path) -> Mapping[str, str]:
    """Return an environment as where Stadtbus is only used.

    There hypothesis is not found (kio registers its types with it wherever it is installed, which
    takes a third of a second), and modules are compiled once, and not at each start.
    """
    absent = folder / "absent"
    absent.mkdir(parents=True, exist_ok=True)
    reason = "raise ModuleNotFoundError('only developers have it', name=__name__)\n"
    (absent / "hypothesis.py").write_text(reason, encoding="utf-8")
    return {
        "PYTHONPATH": str(absent),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }


@asynccontextmanager
async def _embedded(folder: Path) -> AsyncIterator[Started]:
    node = NodeProcess(folder, "--roles", "broker", environment=as_installed(folder))
    with node:  # makes the folder, which is not what is measured
        pass
    begun = time.perf_counter()
    with node:
        bootstrap = node.ready["broker"]
        async with Admin(KafkaSettings(bootstrap=bootstrap)) as admin:
            await admin.brokers()
        yield bootstrap, node.pid, time.perf_counter() - begun


@asynccontextmanager
async def _kafka(folder: Path) -> AsyncIterator[Started]:
    async with cluster(folder) as running:  # formats the folder, which is not what is measured
        (broker,) = running.brokers
        broker.ask_to_stop()
        await asyncio.to_thread(broker.wait)
        begun = time.perf_counter()
        broker.start()
        await running.ready()
        yield running.bootstrap, broker.pid, time.perf_counter() - begun


def megabytes(pid: int) -> float:
    """Return a process's resident memory (proc(5): VmRSS, in kB)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("the kernel does not tell the process's memory")
