"""Why a recipient got an event of a restricted contract, or did not."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from bus.contracts import Contract
from bus.errors import UndecodableEvent
from bus.kafka import Fetched
from bus.router.admission import Admission, Version
from bus.router.routing import Refused
from bus.subscriber.decoding import Decoder, UnlearntSchema
from bus.trust.checking import projection
from bus.trust.grants.explain import Finding, explain
from bus.trust.grants.grant import Grant
from bus.trust.sealed import is_sealed
from bus.trust.standing import Standing

_ANY_AGE = 2**53
"""Milliseconds: how old an event may be is the router's setting, and not asked here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Why a recipient got an event, or did not.

    Args:
        refused: why the event counts for nobody; empty if it counts.
        event: its id; empty where it cannot be read.
        owner: the member whose data it is; empty if it does not count.
        deleted: it ends what its key had; that goes to whoever has the key.
        sealed: its source says that nobody is to hear of the subject.
        findings: each grant between recipient and owner, and what it came to.
    """

    refused: str = ""
    event: str = ""
    owner: str = ""
    deleted: bool = False
    sealed: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def flows(self) -> bool:
        """Whether the recipient gets it under a grant."""
        return not (self.refused or self.deleted or self.sealed) and any(
            finding.applies for finding in self.findings
        )


class _Versions:
    """A contract's versions; feeds' schemas are not asked for, as nothing is written."""

    def __init__(self, contract: Contract) -> None:
        self._schemas = dict(zip(contract.schema_ids, contract.versions, strict=False))

    def version(self, schema_id: int) -> Version:
        """Return a version.

        Raises:
            UndecodableEvent: it is none of the contract's.
        """
        schema = self._schemas.get(schema_id)
        if schema is None:
            raise UndecodableEvent(
                f"schema {schema_id} is none of the contract's", reason="unknown-schema"
            )
        return Version(projection(json.dumps(schema)), feed_schema=0)


async def explained(
    record: Fetched,
    contract: Contract,
    decoder: Decoder,
    standing: Standing,
    grants: Iterable[Grant],
    *,
    recipient: str,
    at_ms: int,
) -> Explained:
    """Return why a recipient got an event, or did not.

    Args:
        record: as it lies on the shared topic.
        contract: in force for it.
        decoder: of the contract.
        standing: who is who, as far as the journal was read.
        grants: as they were then.
        recipient: who got it, or did not.
        at_ms: the time that is asked about, in milliseconds since 1970.

    Raises:
        BusUnavailable: the registry cannot be reached.
    """
    admission = Admission(contract, decoder, _Versions(contract), _ANY_AGE)
    try:
        try:
            admitted = admission.admit(record, standing)
        except UnlearntSchema as unlearnt:
            await decoder.learn(unlearnt.schema_id)
            admitted = admission.admit(record, standing)
    except UndecodableEvent as error:
        return Explained(refused=str(error))
    if isinstance(admitted, Refused):
        return Explained(refused=f"{admitted.reason}: {admitted.detail}")
    event = admitted.event
    if event.data is None:
        return Explained(event=event.id, owner=admitted.owner, deleted=True)
    found = explain(
        grants,
        standing,
        recipient=recipient,
        topic=contract.topic,
        owner=admitted.owner,
        ars=admitted.ars,
        values=event.data,
        at_ms=at_ms,
    )
    return Explained(
        event=event.id,
        owner=admitted.owner,
        sealed=is_sealed(event.data),
        findings=tuple(found),
    )
