"""The event as publishers and subscribers see it."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import uuid_utils

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Position(NamedTuple):
    """Where an event lies, and since when.

    Args:
        topic: the topic that it was read from.
        partition: the partition of it.
        offset: its number in that partition.
        timestamp: when the broker appended it (UTC).
    """

    topic: str
    partition: int
    offset: int
    timestamp: datetime


class Redriven(NamedTuple):
    """What there is to know about an event that comes once more, after it was set aside.

    Args:
        origin: where it was at first: ``<topic>/<partition>/<offset>``.
        letters: the places of the dead letters about it, the oldest first; at most 20.
    """

    origin: str
    letters: tuple[str, ...]


class Event(NamedTuple):
    """One fact that a system announced.

    Args:
        topic: the contract's topic; also the event's type.
        key: the contract's key fields, escaped and joined: events of one key stay in order.
        data: what the contract's schema describes; None where the key's last state ends.
        id: unique for the source (a UUID, version 7 if we made it).
        source: the system that announced it, ``urn:stadtbus:<system>``.
        time: when it happened (UTC).
        subject: what it is about, where the contract names a subject.
        traceparent: W3C trace context, passed through.
        sequence: ``<publisher's incarnation>/<n>``, counted per partition; a gap is a loss.
        position: where it was read; None for an event that was not read.
        redriven: its history, if it was set aside and comes once more, later than its key's events
            around it; None otherwise.
        withheld: of an event of a restricted contract, the parts that its feed does not give.
        grants: the grants under which it was sent.
        state: which state of the journal said so; the same event may come once more under another.
    """

    topic: str
    key: str
    data: Mapping[str, Any] | None
    id: str
    source: str
    time: datetime
    subject: str | None = None
    traceparent: str | None = None
    sequence: str | None = None
    position: Position | None = None
    redriven: Redriven | None = None
    withheld: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    state: str | None = None


class Draft(NamedTuple):
    """An event to be published; what is left out is filled in.

    Args:
        data: what the contract's schema describes.
        time: when it happened, with its time zone; now if None.
        subject: what it is about; the contract's subject field if None.
        id: a UUID; one is made if None. Give the same id when you send an event again.
        traceparent: W3C trace context to pass through.
        headers: further headers, such as CloudEvents extensions.
    """

    data: Mapping[str, Any]
    time: datetime | None = None
    subject: str | None = None
    id: str | None = None
    traceparent: str | None = None
    headers: Mapping[str, str] = _NO_HEADERS


def new_id() -> str:
    """Return a new event id (UUID version 7, RFC 9562)."""
    return str(uuid_utils.uuid7())
