"""Whether a record of a restricted contract counts: as an event, and as its source's word. Pure.

What the record alone can tell is asked first, then who is who, then when it arrived.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

from bus.contracts import Contract
from bus.errors import NotVerified, UndecodableEvent
from bus.event import BAD_KEY, SOURCE, Event, member_of, split_key, unframe
from bus.kafka import Fetched
from bus.router.journal_state import Standing
from bus.router.routing import Decodes, Refused, misplaced
from bus.trust.arrival import check_arrival
from bus.trust.headers import needed, unique
from bus.trust.projection import Projection
from bus.trust.reasons import Reason
from bus.trust.signature import MUNICIPALITY_HEADER
from bus.trust.signed import Content, Signed, read_whole

_OF_FAULT: Mapping[str, Reason] = {
    "not-yet-valid": Reason.EXPIRED_KEY,
    "expired": Reason.EXPIRED_KEY,
    "revoked": Reason.REVOKED_KEY,
}
"""Reasons for what is wrong with a key itself; else its owner is retired, suspended or has left."""


class Version(NamedTuple):
    """A version of the contract, and what feeds have for it.

    Args:
        projection: of the contract's schema.
        feed_schema: the registry's id of the feed's schema.
    """

    projection: Projection
    feed_schema: int


class Versions(Protocol):
    """The versions of a contract by the ids of their schemas."""

    def version(self, schema_id: int) -> Version:
        """Return a version.

        Raises:
            UnlearntSchema: it has to be asked for first.
        """


class Admitted(NamedTuple):
    """An event that counts.

    Args:
        event: as it was decoded.
        signed: as it was signed.
        version: that it was written with; None for a tombstone.
        speaker: the member whose system announced it.
        ars: the official code of the municipality that it is about.
        owner: the member that had this code when it arrived: whose data it is.
        subject: whom it is about, as the source names them.
        day: on which it arrived (UTC).
    """

    event: Event
    signed: Signed
    version: Version | None
    speaker: str
    ars: str
    owner: str
    subject: str
    day: date


class Admission:
    """Checks the records of one restricted contract.

    Args:
        contract: the contract in force.
        decoder: checks envelope, schema and data.
        versions: knows the schemas that the decoder knows.
        oldest_ms: how long a signature may be under way, in milliseconds.
    """

    def __init__(
        self, contract: Contract, decoder: Decodes, versions: Versions, oldest_ms: int
    ) -> None:
        self._contract, self._subject = contract, contract.subject or ""
        self._decoder, self._versions, self._oldest_ms = decoder, versions, oldest_ms

    def admit(self, record: Fetched, standing: Standing) -> Admitted | Refused:
        """Return the event of a record, or why it does not count.

        Raises:
            UnlearntSchema: its schema has to be asked for first.
        """
        try:
            event = self._decoder.event(record)
            if (refused := misplaced(self._contract, event, record)) is not None:
                return refused
            return self._admitted(event, record, standing)
        except (UndecodableEvent, NotVerified) as error:
            return Refused(error.reason, str(error))

    def _admitted(self, event: Event, record: Fetched, standing: Standing) -> Admitted:
        version, content = None, None
        if record.value is not None:
            schema_id, data = unframe(record.value)
            version = self._versions.version(schema_id)
            content = Content(version.projection, data)
        key = record.key or b""
        signed = read_whole(self._contract.topic, key, content, record.headers)
        system = event.source.removeprefix(SOURCE)
        _check_signer(signed, system, record.timestamp_ms, standing)

        ars, subject = self._about(event, record)
        day = datetime.fromtimestamp(record.appended, UTC).date()
        owner = standing.holder_of(ars, day)
        if owner is None or not standing.speaks_for(system, ars, day):
            raise NotVerified(f"{system} may not speak for {ars}", reason=Reason.NOT_ENTITLED)
        self._check_subject(event, subject, ars)
        partition, partitions = record.partition, self._contract.partitions
        arrived_ms, oldest_ms = record.timestamp_ms, self._oldest_ms
        check_arrival(signed, key, partition, partitions, arrived_ms, oldest_ms)
        speaker = member_of(system) or system
        return Admitted(event, signed, version, speaker, ars, owner, subject, day)

    def _about(self, event: Event, record: Fetched) -> tuple[str, str]:
        """Return the municipality and the subject that an event names."""
        if event.data is not None:
            values = [event.data.get(name) for name in (self._contract.municipality, self._subject)]
            ars, subject = ["" if value is None else str(value) for value in values]
            return ars, subject
        named = needed(unique(record.headers), MUNICIPALITY_HEADER)
        return named.decode(errors="replace"), event.subject or ""

    def _check_subject(self, event: Event, subject: str, ars: str) -> None:
        """Check that header, key and data name the same subject, and the same municipality."""
        if not subject or (event.subject is not None and event.subject != subject):
            raise NotVerified(
                "the subject in its header is missing or another one than in its data",
                reason=Reason.OTHER_SUBJECT,
            )
        if event.data is None:
            self._check_parts(split_key(event.key), {self._subject: subject}, ars)

    def _check_parts(self, parts: tuple[str, ...], named: dict[str, Any], ars: str) -> None:
        """Check that a tombstone's key is one of the contract's, and is what its headers say."""
        if len(parts) != len(self._contract.key):
            raise UndecodableEvent(
                f"the key has {len(parts)} parts, not {len(self._contract.key)}", reason=BAD_KEY
            )
        named[self._contract.municipality] = ars
        for name, part in zip(self._contract.key, parts, strict=True):
            if named.get(name, part) != part:
                raise NotVerified(
                    "its key names another one than its headers",
                    reason=Reason.OTHER_SUBJECT,
                    where=name,
                )


def _check_signer(signed: Signed, system: str, arrived_ms: int, standing: Standing) -> None:
    """Check that an event was signed by its source, and that this counted when it arrived."""
    key_id = signed.mark.key_id
    key = standing.key(key_id)
    if key is None or key.owner != system:
        raise NotVerified(
            f"it was signed with the key {key_id}, which is not one of {system}",
            reason=Reason.WRONG_KEY,
        )
    signed.check(key.public)
    fault = standing.fault_of(key_id, arrived_ms)
    if fault is not None:
        raise NotVerified(
            f"what {system} signed with the key {key_id} did not count: {fault}",
            reason=_OF_FAULT.get(fault, Reason.NOT_ENTITLED),
        )
