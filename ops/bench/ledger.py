"""What arrived, folded as it comes, and whether it is what was sent. Pure.

Folding is cheap enough to be done while the clock runs, the same for every contender, and needs no
memory for each event: a chain of hashes for each partition tells whether all of its events came,
once, in order, and whole.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any
from zlib import crc32

from bus.event import partition_of
from ops.bench.addresses import PARTITIONS, address, id_of
from ops.bench.model import Unverified

_VALUES = itemgetter(*address(0))


class Ledger:
    """Typed events, in order for each partition."""

    def __init__(self) -> None:
        self.count = 0
        self._chains: dict[int, int] = {}

    def add(self, partition: int, key: str, id_: str, data: Mapping[str, Any]) -> None:
        """Fold one event."""
        self.count += 1
        self._chains[partition] = hash((self._chains.get(partition), key, id_, _VALUES(data)))

    def check(self, expected: "Ledger") -> None:
        """Compare with what should have come.

        Raises:
            Unverified: an event is missing, there twice, out of order in its partition, in another
                one, or altered.
        """
        if self.count != expected.count:
            raise Unverified(f"{self.count} events came, {expected.count} should have")
        _compare("partition", self._chains, expected._chains)  # noqa: SLF001  # of the same class


def expected(count: int, *, with_ids: bool = True) -> Ledger:
    """Return the ledger of the first events, under the ids that `id_of` gives, or under none."""
    ledger = Ledger()
    for n in range(count):
        data = address(n)
        key = data["address_id"]
        ledger.add(_home(key), key, id_of(n) if with_ids else "", data)
    return ledger


@cache
def _home(key: str) -> int:
    return partition_of(key, PARTITIONS)


class Tally:
    """Untyped records of equal size, in order for each partition (or other source)."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[int, int] = {}

    def add(self, source: int, values: Iterable[bytes]) -> None:
        """Fold records that follow each other; how they are cut into calls does not matter."""
        data = b"".join(values)
        self.count += len(data) // RECORD_BYTES
        self._sums[source] = crc32(data, self._sums.get(source, 0))

    def check(self, count: int, sources: int) -> None:
        """Compare with ``count`` records dealt out to so many sources in turn.

        Raises:
            Unverified: a record is missing, there twice, out of order for its source, or altered.
        """
        if self.count != count:
            raise Unverified(f"{self.count} records came, {count} should have")
        wanted = Tally()
        for source in range(min(sources, count)):
            wanted.add(source, map(record, range(source, count, sources)))
        _compare("source", self._sums, wanted._sums)


RECORD_BYTES = 200
_FILLING = bytes(n * 37 % 251 for n in range(RECORD_BYTES - 8))


def record(n: int) -> bytes:
    """Return the value of untyped record number ``n``."""
    return n.to_bytes(8) + _FILLING


def check_ids(ids: Iterable[str], count: int) -> None:
    """Check that every event has an id of its own.

    Raises:
        Unverified: two have the same.
    """
    different = len(set(ids))
    if different != count:
        raise Unverified(f"{count} events have {different} different ids")


def _compare(what: str, found: Mapping[Any, int], wanted: Mapping[Any, int]) -> None:
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    unknown = [name for name in found if name not in wanted]
    if unknown:
        raise Unverified(f"{len(unknown)} {what}s are unknown, such as {unknown[0]}")
    if differing:
        raise Unverified(
            f"what came of {len(differing)} {what}s is not what was sent, or not in its order, "
            f"such as of {differing[0]}"
        )
