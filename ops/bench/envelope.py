"""Whether a record has the headers that ours has, whoever wrote it. Pure."""

from collections.abc import Sequence

from bus.errors import UndecodableEvent
from bus.event import SOURCE, changing, read_envelope, unchanging
from ops.bench.contract import SYSTEM
from ops.bench.model import Unverified

Headers = Sequence[tuple[str, bytes | None]]


class Envelopes:
    """Checks one record's headers after the other.

    All eight have to be there and no other, those that never change with the values that our
    publisher gives them, the others well-formed, with ids and sequence numbers of their own.

    Args:
        topic: what the events are written to.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._fixed = unchanging(f"{SOURCE}{SYSTEM}", topic)
        fixed, varying = dict(self._fixed), dict(changing("", "", "", "", None))
        self._names = fixed.keys() | varying.keys()
        self._ids: set[str] = set()
        self._sequence: set[tuple[int, str | None]] = set()
        self._count = 0

    def add(self, partition: int, key: str, headers: Headers) -> str:
        """Check the headers of a partition's record; return its event's id.

        Raises:
            Unverified: one is missing, too many, or not what it should be.
        """
        found = dict(headers)
        if len(found) != len(headers) or found.keys() != self._names:
            names = [name for name, _ in headers]
            raise Unverified(f"an event has the headers {names}, not {sorted(self._names)}")
        for name, value in self._fixed:
            if found[name] != value:
                raise Unverified(f"the header {name} is {found[name]!r}, not {value!r}")
        try:
            envelope = read_envelope(self._topic, headers)
        except UndecodableEvent as error:
            raise Unverified(f"an event's envelope cannot be read: {error}") from error
        if envelope.subject != key:
            raise Unverified(f"the header ce_subject is {envelope.subject!r}, the key {key!r}")
        self._count += 1
        self._ids.add(envelope.id)
        self._sequence.add((partition, envelope.sequence))
        return envelope.id

    def check(self) -> None:
        """Check that every event has an id of its own, and a sequence number in its partition.

        Raises:
            Unverified: two have the same.
        """
        for what, different in (("ids", self._ids), ("sequence numbers", self._sequence)):
            if len(different) != self._count:
                raise Unverified(f"{self._count} events have {len(different)} different {what}")
