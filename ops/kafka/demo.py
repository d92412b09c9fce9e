"""The demo on a real Kafka broker that is started for it."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from bus.cli.demo.programs import end_with_parent
from bus.cli.edge import say, unless_stopped
from ops.kafka.cluster import Cluster, cluster
from ops.kafka.folder import emptied


async def run_demo(
    folder: Path, arguments: Sequence[str], stop: asyncio.Event, *, reset: bool
) -> int:
    """Run `stadtbus demo` on a broker of its own; return the demo's exit code.

    Args:
        folder: holds the broker's data and the demo's, which belong together.
        arguments: further arguments of the demo.
        stop: is set when somebody asks to stop.
        reset: begin anew.
    """
    if reset:
        emptied(folder / "kafka")
        arguments = [*arguments, "--reset"]
    say("Starting Apache Kafka ...")
    async with AsyncExitStack() as running:
        brokers: list[Cluster] = []

        async def start() -> None:
            brokers.append(await running.enter_async_context(cluster(folder / "kafka")))

        if not await unless_stopped(start(), stop):
            return 0
        return await _demo(brokers[0].bootstrap, folder / "demo", arguments, stop)


async def _demo(bootstrap: str, data: Path, arguments: Sequence[str], stop: asyncio.Event) -> int:
    # By its own name: the demo tells what to type in another terminal.
    stadtbus = Path(sys.executable).with_name("stadtbus")
    process = await asyncio.create_subprocess_exec(
        stadtbus, "demo", "--kafka", bootstrap, "--data", str(data), *arguments,
        preexec_fn=end_with_parent(os.getpid()),
    )  # fmt: skip

    async def ended() -> None:
        await process.wait()

    if not await unless_stopped(ended(), stop) and process.returncode is None:
        process.terminate()
    return await process.wait()
