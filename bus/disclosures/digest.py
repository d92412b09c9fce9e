"""A digest of a day's disclosures, by which owner and recipient compare what each has. Pure.

Each computes it from its own side: the recipient from the records of its feed alone, the owner from
the disclosures. `docs/trust.md`, "Reconciliation", has it in words, `docs/disclosure-vectors.json`
in bytes.

An entry is what both sides see of a delivery: recipient, contract, partition, the event's id, the
grants, the fields that were given, and the moment that the router attested. What it was about is
not in it: the recipient knows neither the subject's name at the source nor, from its feed, whose
data it is. So disclosures are counted by the grants under which they were made, each of which names
its owner; and no digest says anything of a person.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import NamedTuple

from bus.disclosures.disclosure import Disclosure
from bus.kafka import Fetched
from bus.trust.attestation import ATTESTATION, GRANT
from bus.trust.headers import needed, optional, unique_names
from bus.trust.leaves import joined
from bus.trust.signature import WITHHELD, Mark, malformed

_ENTRY, _LINE = b"stadtbus-disclosure-1\0", b"stadtbus-disclosures-1\0"
_PARTITION, _NUMBER = struct.Struct(">I"), struct.Struct(">Q")


class Entry(NamedTuple):
    """What both sides see of one delivery.

    Args:
        recipient: whose feed it is.
        topic: the contract's.
        partition: the source's, and the feed's.
        event: the id (``ce_id``) of the record on the feed.
        grants: the ids of the grants, as the feed's header has them.
        fields: the names of the top-level fields that were given, sorted; none for a tombstone.
        at_ms: when the router attested it, in milliseconds since 1970.
    """

    recipient: str
    topic: str
    partition: int
    event: str
    grants: tuple[bytes, ...]
    fields: tuple[str, ...]
    at_ms: int

    @property
    def day(self) -> date:
        """The day on which it was attested (UTC)."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).date()

    def digest(self) -> bytes:
        """Return the digest of this entry, 32 bytes."""
        parts = (
            self.recipient.encode(),
            self.topic.encode(),
            _PARTITION.pack(self.partition),
            self.event.encode(),
            ",".join([grant.hex() for grant in self.grants]).encode(),
            ",".join(self.fields).encode(),
            _NUMBER.pack(self.at_ms),
        )
        return sha256(_ENTRY + joined(parts)).digest()


class Line(NamedTuple):
    """What is counted together: a day's deliveries of one feed under the same grants.

    Args:
        day: the day (UTC).
        recipient: whose feed it is.
        topic: the contract's.
        grants: the ids of the grants.
    """

    day: date
    recipient: str
    topic: str
    grants: tuple[bytes, ...]


class Total(NamedTuple):
    """What there was of a line.

    Args:
        line: what was counted together.
        deliveries: how many different ones.
        digest: over all of them, 32 bytes; their order means nothing.
    """

    line: Line
    deliveries: int
    digest: bytes


def entry_of(disclosure: Disclosure) -> Entry:
    """Return a delivery as the owner has it."""
    one = disclosure
    return Entry(
        one.recipient, one.topic, one.partition, one.event, one.grants, one.fields, one.at_ms
    )


def entry_on(record: Fetched, recipient: str, names: Sequence[str], subject: str) -> Entry:
    """Return a delivery as the recipient has it.

    Who attested it, and that nothing in it was changed, is not checked here:
    `bus.trust.attestation.check_attestation` does.

    Args:
        record: of the recipient's feed.
        recipient: whose feed it is.
        names: of the top-level fields of the schema that the value names; of no account for a
            tombstone.
        subject: the contract's field that names the subject, of which the feed has a name of its
            own in ``ce_subject``.

    Raises:
        NotVerified: a header of the router's is missing, or not as it has to be.
    """
    found = unique_names(record.headers)
    fields: tuple[str, ...] = ()
    if record.value is not None:
        given = set(names) - set(_text(found, WITHHELD).split(","))
        if optional(found, "ce_subject") is not None:
            given.add(subject)
        fields = tuple(sorted(given))
    return Entry(
        recipient,
        _text(found, "ce_type"),
        record.partition,
        _text(found, "ce_id"),
        _grants(_text(found, GRANT)),
        fields,
        Mark.unpack(needed(found, ATTESTATION), ATTESTATION).at_ms,
    )


def totals(entries: Iterable[Entry]) -> list[Total]:
    """Return what there was of each line, in their order.

    An entry that is there twice, as a reader who begins again may have it, counts once. 32 bytes of
    each are kept until all were seen.
    """
    by_line: dict[Line, set[bytes]] = {}
    for one in entries:
        line = Line(one.day, one.recipient, one.topic, one.grants)
        by_line.setdefault(line, set()).add(one.digest())
    return [
        Total(line, len(digests), _digest(line, digests))
        for line, digests in sorted(by_line.items(), key=lambda item: item[0])
    ]


def _digest(line: Line, digests: Iterable[bytes]) -> bytes:
    in_order = sorted(digests)
    parts = (
        line.day.isoformat().encode(),
        line.recipient.encode(),
        line.topic.encode(),
        ",".join([grant.hex() for grant in line.grants]).encode(),
        _NUMBER.pack(len(in_order)),
        b"".join(in_order),
    )
    return sha256(_LINE + joined(parts)).digest()


def _text(found: Mapping[str, bytes | None], name: str) -> str:
    try:
        return needed(found, name).decode()
    except UnicodeDecodeError:
        raise malformed(f"{name} is no text") from None


def _grants(written: str) -> tuple[bytes, ...]:
    try:
        return tuple(bytes.fromhex(one) for one in written.split(","))
    except ValueError:
        raise malformed(f"{GRANT} does not name grants") from None
