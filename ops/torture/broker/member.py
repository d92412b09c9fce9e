"""A member of a group, to be killed: `python -m ops.torture.broker.member BOOTSTRAP GROUP TOPIC`.

It reports each run of records that it handled as a line, "PARTITION FIRST NEXT", before it commits.
"""

import asyncio
import sys
from contextlib import suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError


async def run(bootstrap: str, group: str, topic: str) -> None:
    """Handle and commit until killed."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
        max_poll_interval_ms=10_000,
        max_partition_fetch_bytes=2**18,
    )
    await consumer.start()
    print("ready", flush=True)
    while True:
        handled = await consumer.getmany(timeout_ms=200)
        for place, records in handled.items():
            print(place.partition, records[0].offset, records[-1].offset + 1, flush=True)
        if handled:
            with suppress(KafkaError):  # its part went to another, who goes on where it committed
                await consumer.commit()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
