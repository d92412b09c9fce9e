"""Which topics and groups are the bus's own, and stay out of what people look at."""

from bus.letters import is_dead_topic, is_redrive_topic

OWN = "_"
"""What the bus's own names begin with, Kafka's and ours."""

VIEW = "view."
"""What derived views' names begin with."""


def is_internal(name: str) -> bool:
    """Whether a topic or group is the bus's own: its journal, its canary, Kafka's positions."""
    return name.startswith(OWN)


def is_dead_letters(topic: str) -> bool:
    """Whether a topic holds dead letters."""
    return is_dead_topic(topic)


def is_aside(topic: str) -> bool:
    """Whether a topic holds what was set aside, or what of that comes once more."""
    return is_dead_topic(topic) or is_redrive_topic(topic)


def is_view(topic: str) -> bool:
    """Whether a topic is a derived view, which is the changelog of the group that keeps it."""
    return topic.startswith(VIEW)
