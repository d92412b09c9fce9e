"""A broker in a process of its own, to be killed: ``python -m tests.broker.alone FOLDER PORT``."""

import asyncio
import sys
from pathlib import Path

from bus.broker import Broker
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry


async def serve(data: Path, port: int) -> None:
    """Run until killed; the address is printed once it listens."""
    settings = BrokerSettings(listen=Address(host="127.0.0.1", port=port))
    async with Broker(settings, data, Telemetry()) as broker:
        print(broker.address, flush=True)  # noqa: T201  # what the test waits for
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
