"""What becomes of one record of a shared topic. Pure.

A record is passed on to feeds, refused with a reason, or dropped because it is a repeat. Checks are
made in the order in which `docs/wire.md`, "What readers refuse", has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.contracts import Contract
from bus.disclosures import Disclosure
from bus.errors import InvalidEvent, UndecodableEvent
from bus.event import BAD_KEY, Event, partition_of
from bus.kafka import Fetched, Record
from bus.router.held import Held
from bus.trust.reasons import Reason

Write = tuple[str, int, Record]
"""A record with the topic and the partition that it goes to."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The event is good.

    Args:
        event: what the record carries.
        writes: records that go to feeds.
        disclosures: on a restricted contract, who is told what by each of them.
        held: on a restricted contract, what feeds hold of the record's key from then on; None after
            a tombstone, when nobody has it.
    """

    event: Event
    writes: Sequence[Write]
    disclosures: Sequence[Disclosure] = ()
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The record becomes a dead letter."""

    reason: str
    detail: str


class Decodes(Protocol):
    """What makes events of records; `bus.subscriber.decoding.Decoder`."""

    def event(self, record: Fetched) -> Event:
        """Return the event that a record carries."""


class Route:
    """The way of an open contract's records: what is good goes on byte for byte.

    Args:
        contract: the contract in force.
        decoder: checks envelope, schema and data.
        topic_id: the shared topic's id on the engine; another one means that it was made anew.
        feed: where its events go.
    """

    def __init__(self, contract: Contract, decoder: Decodes, topic_id: str, feed: str) -> None:
        self._contract, self._decoder, self._feed = contract, decoder, feed
        self._origin = f"{contract.topic}/{topic_id}"

    def take(self, record: Fetched) -> Passed | Refused:
        """Return what becomes of a record.

        Raises:
            UnlearntSchema: its schema has to be asked for first.
        """
        try:
            event = self._decoder.event(record)
        except UndecodableEvent as error:
            return Refused(error.reason, str(error))
        if (refused := misplaced(self._contract, event, record)) is not None:
            return refused
        origin = f"{self._origin}/{record.partition}/{record.offset}"
        headers = [
            *((name, value) for name, value in record.headers if name != "stadtbus-origin"),
            ("stadtbus-origin", origin.encode()),
        ]
        passed = Record(record.key, record.value, headers)
        return Passed(event, [(self._feed, record.partition, passed)])


def misplaced(contract: Contract, event: Event, record: Fetched) -> Refused | None:
    """Return what is wrong with a record's key and partition, if anything is."""
    if event.data is not None:
        try:
            wanted = contract.key_of(event.data)
        except InvalidEvent as error:
            return Refused(BAD_KEY, str(error))
        if event.key != wanted:
            return Refused(BAD_KEY, f"the key is not that of the data: {wanted}")
    partition = partition_of(event.key, contract.partitions)
    if partition != record.partition:
        return Refused(
            Reason.OTHER_PARTITION,
            f"it lies in partition {record.partition}, its key belongs to {partition}",
        )
    return None
