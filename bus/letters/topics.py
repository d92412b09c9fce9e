"""The topics of dead letters and of events that come once more. Pure."""

from bus.admin import TopicSpec

KEPT_DAYS = 90
"""Days for which a letter waits for somebody to decide about it."""


def letter_spec(name: str, partitions: int, largest: int) -> TopicSpec:
    """Return how a topic of letters, or of what comes once more, is made.

    Args:
        name: the topic.
        partitions: those of the topic whose events it takes.
        largest: bytes of the largest batch.
    """
    return TopicSpec(
        name=name,
        partitions=partitions,
        configs={
            "cleanup.policy": "delete",
            "retention.ms": str(KEPT_DAYS * 86_400_000),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(largest),
        },
    )
