"""Asks the registry for its contracts once a second."""

import asyncio

from bus.schemas import SchemaClient
from bus.settings import load


async def main() -> None:
    """Ask until it is ended."""
    async with SchemaClient.of(load()) as registry:
        while True:
            await registry.contracts()
            await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(main())
