"""A subscriber that promises: `python promising.py GROUP [once]`; once: it ends after one event."""

import asyncio
import sys

from bus import Event, Subscriber


async def main(group: str, *, once: bool) -> None:
    """Read, and commit; who ends after one event has promised a second, and is late soon."""
    promise = 1.0 if once else 30.0
    async with Subscriber(group, ["sensor.reading.v1"], promise=promise) as subscriber:

        async def handle(_: Event) -> None:
            if once:
                subscriber.stop()

        await subscriber.run(handle)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], once="once" in sys.argv[2:]))
