"""An operator's process that stops in the middle of re-driving all letters, to be killed there.

Arguments: the engine's address, the dead letter topic, where to stop.
"""

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaProducer

from bus.letters import Decider, Filter, Shelf, waiting
from bus.settings import KafkaSettings


async def stop_here(*_: Any, **__: Any) -> None:
    """Say that we are there, and stay."""
    print("here", flush=True)  # noqa: T201
    await asyncio.Event().wait()


async def main(bootstrap: str, topic: str, where: str) -> None:
    kafka = KafkaSettings(bootstrap=bootstrap)
    async with Shelf(kafka) as shelf:
        letters = await waiting(shelf, topic, Filter())
    send = AIOKafkaProducer.send_batch
    batches = 0

    async def send_once(*arguments: Any, **options: Any) -> Any:
        nonlocal batches
        batches += 1
        return await (send if batches == 1 else stop_here)(*arguments, **options)

    if where == "between the writes":
        AIOKafkaProducer.send_batch = send_once
    else:
        AIOKafkaProducer.commit_transaction = stop_here
    await Decider(kafka, "whoever dies").redrive(letters)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
