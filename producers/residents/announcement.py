"""Changes as events of the contract `resident.address-changed.v1`."""

from typing import Any

from bus.event import Draft
from producers.identity import identity
from producers.residents.life import Change
from producers.residents.places import Address

TOPIC = "resident.address-changed.v1"


def draft(register: str, municipality: str, source: str, number: int, change: Change) -> Draft:
    """Return the event of a change; its id is the same whenever that is published again.

    Args:
        register: the member whose register announces it.
        municipality: its regional key.
        source: the system that publishes; part of the event's id.
        number: of the change in its life, counted from 0.
        change: what happened.
    """
    return Draft(
        id=identity(change.at, (source, municipality, number, change.person.pseudonym)),
        time=change.at,
        data={
            "register": register,
            "pseudonym": change.person.pseudonym,
            "municipality": municipality,
            "cause": change.cause,
            "valid_from": change.valid_from,
            "old_municipality": change.old and change.old.municipality.ars,
            "new_municipality": change.new and change.new.municipality.ars,
            "old_address": _address(change.old),
            "new_address": _address(change.new),
            "household": change.person.household,
            "corrects": change.corrects,
            "sealed": change.person.sealed,
        },
    )


def _address(address: Address | None) -> dict[str, Any] | None:
    if address is None:
        return None
    return {
        "street": address.street,
        "number": address.number,
        "suffix": address.suffix,
        "postcode": address.municipality.postcode,
        "place": address.municipality.name,
    }
