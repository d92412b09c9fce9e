"""How long an event loop is held up, so that no scrape misses it."""

import asyncio
import time

from bus.telemetry import Telemetry, Turns
from tests.waiting import until


async def test_a_long_turn_of_an_event_loop_shows_and_stays_in_the_histogram(
    telemetry: Telemetry,
) -> None:
    turns = Turns(telemetry, "tried")
    await turns.start()
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.3)

    def value(name: str, **labels: str) -> float:
        labels = {"loop": "tried", **labels}
        return telemetry.registry.get_sample_value(f"stadtbus_event_loop_{name}", labels) or 0.0

    def above() -> float:
        return value("turn_seconds_count") - value("turn_seconds_bucket", le="0.1")

    await until(lambda: value("longest_turn_seconds") > 0.1)
    await until(lambda: value("longest_turn_seconds") < 0.1)
    assert above() >= 1, "what was long some seconds ago still counts"
    await turns.stop()
