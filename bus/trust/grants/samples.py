"""What a recipient would be shown of real events under a grant. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bus.contracts import Contract
from bus.trust.grants.concerning import is_owned, owner_at
from bus.trust.grants.rows import compiled
from bus.trust.grants.terms import Terms
from bus.trust.sealed import is_sealed
from bus.trust.standing import Standing

SAMPLES = 3
"""Examples that somebody is shown who decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event of a restricted contract as it was read from the shared topic.

    Args:
        values: its data, decoded.
        at_ms: when it arrived, in milliseconds since 1970.
        place: where it lies, ``topic-partition@offset``.
    """

    values: Mapping[str, Any]
    at_ms: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A part of an event, as a recipient would get it.

    Args:
        values: the granted fields that it has, in the contract's order; without the subject's own
            name, which no feed has.
        renamed: the granted field in whose place the recipient gets a name of its own for the
            subject; empty if it was not granted.
        at_ms, place: of the event.
    """

    values: Mapping[str, Any]
    renamed: str
    at_ms: int
    place: str


def samples(
    terms: Terms, contract: Contract, standing: Standing, events: Iterable[Happened]
) -> list[Sample]:
    """Return what would flow of the first events that a grant is about, `SAMPLES` at the most.

    Whether the grant holds already does not matter, as it is asked before anybody approves.

    Args:
        terms: what the grant says.
        contract: in force for its topic.
        standing: who is who.
        events: the newest first.
    """
    found: list[Sample] = []
    keeps = compiled(terms.rows)
    for event in events:
        if _concerns(terms, contract, standing, event) and keeps(event.values):
            found.append(_part(terms, contract, event))
            if len(found) == SAMPLES:
                break
    return found


def _concerns(terms: Terms, contract: Contract, standing: Standing, event: Happened) -> bool:
    ars = str(event.values.get(contract.municipality or "") or "")
    owner = owner_at(standing, ars, event.at_ms)
    return owner is not None and not is_sealed(event.values) and is_owned(terms.owner, owner, ars)


def _part(terms: Terms, contract: Contract, event: Happened) -> Sample:
    granted = {name: one for name, one in event.values.items() if name in terms.fields}
    renamed = contract.subject if contract.subject in granted else ""
    granted.pop(renamed or "", None)
    return Sample(values=granted, renamed=renamed or "", at_ms=event.at_ms, place=event.place)
