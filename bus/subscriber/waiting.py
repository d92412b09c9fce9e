"""How many dead letters wait for somebody to look at them."""

from bus.admin import Admin
from bus.kafka import LogReader
from bus.subscriber.dead import dead_topic

PREFIX = dead_topic("", "").rstrip(".") + "."


async def dead_letters(admin: Admin, reader: LogReader) -> dict[str, int]:
    """Return the number of events in each dead letter topic.

    Raises:
        BusUnavailable: the engine cannot be reached.
    """
    topics = [topic for topic in await admin.topics() if topic.startswith(PREFIX)]
    bounds = {topic: await reader.bounds(topic) for topic in topics}
    return {
        topic: sum(end - first for first, end in partitions.values())
        for topic, partitions in bounds.items()
    }
