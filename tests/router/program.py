"""A router as a process of its own, which can be killed or stopped."""

import asyncio
import sys
from pathlib import Path

from bus.router import Router
from bus.settings import KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry


async def main(bootstrap: str, registry: str, cache: str) -> None:
    """Route until the process is ended."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap=bootstrap),
        registry=RegistrySettings(url=registry),
        cache=Path(cache),
    )
    async with Router(settings, Telemetry()):
        print("ready", flush=True)  # noqa: T201  # who started it waits for that
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
