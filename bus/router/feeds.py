"""Feeds and the router's dead letters: how their topics are made. Pure."""

from dataclasses import replace

from bus.admin import TopicSpec
from bus.contracts import MAX_EVENT_BYTES, Contract
from bus.letters import LARGEST_LETTER, letter_spec

ADDED = 2**16
"""Bytes that a feed's batch may have beyond that of the shared topic, for the router's headers."""

_DEAD = "dead."


def refused_topic(topic: str) -> str:
    """Return the topic that holds what the router refused of a shared topic."""
    return _DEAD + topic


def feed_spec(contract: Contract, name: str) -> TopicSpec:
    """Return a feed of a contract: partitions and retention are the contract's.

    A feed's partitions correspond to those of the shared topic, one to one.
    """
    spec = contract.topic_spec()
    largest = str(MAX_EVENT_BYTES + ADDED)
    return replace(spec, name=name, configs={**spec.configs, "max.message.bytes": largest})


def refused_spec(contract: Contract) -> TopicSpec:
    """Return the topic that takes what is refused of a contract's events."""
    return letter_spec(refused_topic(contract.topic), contract.partitions, LARGEST_LETTER)
