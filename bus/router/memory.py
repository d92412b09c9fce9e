"""What the router remembers of one partition of a restricted contract. Pure.

It lies on a compacted topic beside the shared one, written in the transactions that write the
feeds: whichever router takes the partition over finds there what feeds hold. What a transaction
changes is laid over what is committed, and becomes true, or is forgotten, with it.
"""

from collections.abc import Container, Iterator
from dataclasses import replace

from bus.admin import TopicSpec
from bus.contracts import Contract
from bus.kafka import Fetched, Record
from bus.router.held import Held

KNOWN, BEGUN, DONE = b"known", b"begun", b"done"
"""How far the snapshot of a grant is. One that is known may have given something already."""

MARK = b"%snapshot:"
"""What the keys of snapshots' marks begin with; no event's key does, where % is escaped."""


def memory_topic(topic: str) -> str:
    """Return the topic that holds what the router remembers of a contract's events."""
    return f"_stadtbus.held.{topic}"


def memory_spec(contract: Contract) -> TopicSpec:
    """Return how this topic is made: its partitions correspond to those of the shared topic."""
    spec = contract.topic_spec()
    configs = {**spec.configs, "cleanup.policy": "compact", "retention.ms": "-1"}
    return replace(spec, name=memory_topic(contract.topic), configs=configs)


def mark_of(grant: bytes) -> bytes:
    """Return the key under which a grant's snapshot is marked."""
    return MARK + grant.hex().encode()


class Memory:
    """What is committed, and over it what the transaction at hand changes.

    Args:
        incarnation: names whoever counts the records of feeds from now on.
    """

    def __init__(self, incarnation: str) -> None:
        self._incarnation = incarnation
        # Packed: a city has a million residents, and each of them is in here.
        self._committed: dict[bytes, bytes] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._marks: dict[bytes, bytes] = {}
        self._counts: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def forget(self) -> None:
        """Forget all but the counts, to read it anew."""
        self._committed, self._marks = {}, {}
        self.undo()

    def fold(self, record: Fetched) -> None:
        """Take in a record of the topic, in order."""
        key = record.key or b""
        self._set(key, record.value)

    def get(self, key: bytes) -> Held | None:
        """Return what is held of a key of the shared topic; None if nothing is."""
        packed = self._changed[key] if key in self._changed else self._committed.get(key)
        return None if packed is None else Held.unpack(packed)

    def put(self, key: bytes, held: Held | None) -> None:
        """Let what is held of a key become this."""
        self._changed[key] = None if held is None else held.pack()

    @property
    def snapshots(self) -> dict[bytes, bool]:
        """The grants that are marked, each with whether its snapshot is done."""
        marks = dict(self._marks)
        for key, value in self._changed.items():
            if key.startswith(MARK):
                if value is None:
                    marks.pop(key, None)
                else:
                    marks[key] = value
        return {bytes.fromhex(key[len(MARK) :].decode()): v == DONE for key, v in marks.items()}

    def mark(self, grant: bytes, state: bytes | None) -> None:
        """Note how far a grant's snapshot is; None forgets it."""
        self._changed[mark_of(grant)] = state

    def given(self) -> Iterator[tuple[bytes, Held]]:
        """Yield the keys that somebody has with what is held of them, by what is committed."""
        for key, packed in self._committed.items():
            if not packed.endswith(b"{}]"):  # most keys are nobody's: they are not taken apart
                yield key, Held.unpack(packed)

    def under(self, grants: Container[bytes]) -> Iterator[bytes]:
        """Yield the keys that somebody has under one of these grants, by what is committed."""
        for key, held in self.given():
            if any(grant in grants for had in held.feeds.values() for grant in had.grants):
                yield key

    def sequence(self, feed: str) -> str:
        """Return the next ``stadtbus-seq`` of a feed's partition."""
        count = self._counted.get(feed, self._counts.get(feed, 0)) + 1
        self._counted[feed] = count
        return f"{self._incarnation}/{count}"

    def changes(self) -> list[Record]:
        """Return the records that make what changed last."""
        return [Record(key, value) for key, value in self._changed.items()]

    def settle(self) -> None:
        """Take what changed for committed."""
        for key, value in self._changed.items():
            self._set(key, value)
        self._counts.update(self._counted)
        self.undo()

    def undo(self) -> None:
        """Forget what changed."""
        self._changed, self._counted = {}, {}

    def _set(self, key: bytes, value: bytes | None) -> None:
        there = self._marks if key.startswith(MARK) else self._committed
        if value is None:
            there.pop(key, None)
        else:
            there[key] = value
