"""The records that a recipient's feed gets of a restricted contract. Pure.

Only what was granted is in them: names that stand for others where a key or subject was not.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bus.contracts import Contract, member_feed
from bus.event import CONTENT_TYPE, SOURCE, frame, write_time
from bus.kafka import Record
from bus.router.admission import Admitted, Version
from bus.router.held import Had
from bus.router.memory import mark_of
from bus.router.pseudonyms import Pseudonyms
from bus.router.routing import Write
from bus.trust.attestation import GRANT, SNAPSHOT, STATE, attested
from bus.trust.grants.matching import Granted
from bus.trust.leaves import KEY
from bus.trust.part import Part, part_of
from bus.trust.projection import Projection
from bus.trust.signed import Signed
from bus.trust.signer import Signer

SEQUENCE = "stadtbus-seq"

_FIXED = [("ce_specversion", b"1.0"), ("content-type", CONTENT_TYPE.encode())]

Headers = Sequence[tuple[str, bytes]]


class Moment(NamedTuple):
    """In which partition, when, and under which state of the journal records are written.

    Args:
        partition: the source's and the feeds'.
        state: number and digest of the journal's last entry, as the header has them.
        at_ms: now, in milliseconds since 1970.
        sequence: returns the next ``stadtbus-seq`` of a feed's partition.
    """

    partition: int
    state: str
    at_ms: int
    sequence: Callable[[str], str]


class Written(NamedTuple):
    """A record for a feed.

    Args:
        write: where what goes.
        event: its id.
        had: what the feed holds of the key then; None after a tombstone.
        fields: the fields that it gives, sorted.
    """

    write: Write
    event: str
    had: Had | None
    fields: tuple[str, ...]


class Writing:
    """Makes the records of one contract's feeds.

    Args:
        contract: the contract in force.
        pseudonyms: makes names for what is not to be known.
        signer: holds the router's key.
        system: the router, as its own tombstones name their source.
    """

    def __init__(
        self, contract: Contract, pseudonyms: Pseudonyms, signer: Signer, system: str
    ) -> None:
        self._contract, self._pseudonyms = contract, pseudonyms
        self._subject, self._key = contract.subject or "", frozenset(contract.key)
        self._signer, self._source = signer, f"{SOURCE}{system}".encode()
        # Of the event at hand: recipients often get the same fields.
        self._signed: Signed | None = None
        self._parts: dict[frozenset[str], Part] = {}

    def event(
        self, admitted: Admitted, version: Version, granted: Granted, moment: Moment
    ) -> Written:
        """Return an event as a recipient gets it.

        The subject's own name is given to nobody, so the field counts as withheld: what stands in
        the data is the source's word without exception, and the feed's name for the subject is in
        ``ce_subject``, where it takes the place of the source's.
        """
        projection, schema = version
        fields = frozenset(granted.fields) & frozenset(projection.names)
        leaves = fields - {self._subject}
        if leaves >= self._key:
            leaves |= {KEY}
        part = self._part(admitted.signed, projection, leaves)
        to = (admitted.owner, granted.recipient)
        key = (
            part.key or self._pseudonyms.key(*to, admitted.event.topic, admitted.event.key).encode()
        )
        headers = [*part.headers]
        if self._subject in fields:
            named = self._pseudonyms.subject(*to, admitted.subject)
            headers.append(("ce_subject", named.encode()))
        had = Had(key, tuple(sorted(granted.grants)))
        record = Record(key, frame(schema, part.data or b""), headers)
        write = self._attested(granted.recipient, record, had.grants, moment)
        return Written(write, admitted.event.id, had, tuple(sorted(fields)))

    def ended(self, admitted: Admitted, recipient: str, had: Had, moment: Moment) -> Written:
        """Return a source's tombstone as a recipient gets it who has the key."""
        key = admitted.event.key.encode()
        given = frozenset({KEY}) if had.key == key else frozenset[str]()
        part = part_of(admitted.signed, None, given)
        record = Record(had.key, None, part.headers)
        write = self._attested(recipient, record, had.grants, moment)
        return Written(write, admitted.event.id, None, ())

    def withdrawal(self, recipient: str, had: Had, cause: str, moment: Moment) -> Written:
        """Return the router's own tombstone, which does not say why.

        Args:
            recipient: who has the key.
            had: what they have of it.
            cause: what brought it about: an event's id, or a state of the journal.
            moment: when and where.
        """
        feed = member_feed(recipient, self._contract.topic)
        # The same cause may take a key back twice, where it was given again in between.
        event = self._pseudonyms.event(feed, had.key, f"{cause}/{moment.at_ms}")
        record = Record(had.key, None, self._own(event, moment))
        return Written(self._attested(recipient, record, had.grants, moment), event, None, ())

    def marker(self, recipient: str, grant: bytes, word: str, offset: int, moment: Moment) -> Write:
        """Return a mark on a feed, between two of which the present lies that a grant gives.

        Args:
            recipient: whose feed it is.
            grant: its id.
            word: ``begin`` or ``end``.
            offset: where the router was on the shared topic when it began.
            moment: when and where.
        """
        feed, topic = member_feed(recipient, self._contract.topic), self._contract.topic
        key = mark_of(grant)
        event = self._pseudonyms.event(feed, key, f"{word}/{moment.at_ms}")
        place = f"{word}/{topic}/{moment.partition}/{offset}"
        headers = [*self._own(event, moment), (SNAPSHOT, place.encode())]
        return self._attested(recipient, Record(key, None, headers), (grant,), moment)

    def _part(self, signed: Signed, projection: Projection, leaves: frozenset[str]) -> Part:
        if self._signed is not signed:
            self._signed, self._parts = signed, {}
        if leaves not in self._parts:
            self._parts[leaves] = part_of(signed, projection, leaves)
        return self._parts[leaves]

    def _own(self, event: str, moment: Moment) -> list[tuple[str, bytes]]:
        """Return the headers of what the router says itself."""
        time = datetime.fromtimestamp(moment.at_ms / 1000, UTC)
        return [
            ("ce_id", event.encode()),
            ("ce_source", self._source),
            ("ce_type", self._contract.topic.encode()),
            ("ce_time", write_time(time).encode()),
        ]

    def _attested(
        self, recipient: str, record: Record, grants: Iterable[bytes], moment: Moment
    ) -> Write:
        feed = member_feed(recipient, self._contract.topic)
        headers: Headers = [
            *_FIXED,
            *record.headers,
            (GRANT, ",".join([grant.hex() for grant in grants]).encode()),
            (STATE, moment.state.encode()),
            (SEQUENCE, moment.sequence(feed).encode()),
        ]
        whole = record._replace(headers=headers)
        made = attested(self._signer, feed, moment.partition, whole, moment.at_ms)
        return feed, moment.partition, made
