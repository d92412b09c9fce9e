"""The register of processing activities (Art. 30 GDPR), as far as grants make it. Pure.

Article 30(1) asks of each activity: the controller and whom to ask, the purposes, whose and which
data, the recipients, whether data leaves the European Union, when it is erased, and how it is kept
safe. A row answers each for one grant; that data is kept safe is the same for all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from bus.contracts import Contract
from bus.event import write_time
from bus.trust.grants.grant import Grant, State
from bus.trust.grants.plain import Language
from bus.trust.grants.vocabulary import PURPOSES
from bus.trust.records import Member

# fmt: off
EUROPEAN = frozenset({
    "at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hr", "hu", "ie",
    "is", "it", "li", "lt", "lu", "lv", "mt", "nl", "no", "pl", "pt", "ro", "se", "si", "sk",
})
# fmt: on
"""Countries to which data goes as within one: the European Union and the Economic Area."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A member as a register names it; addresses of roles, no names of persons."""

    name: str
    contact: str
    privacy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One row of the register.

    Args:
        controller, contact, privacy: whose data it is, and whom to ask; role addresses.
        recipient: who gets it: its name.
        recipient_id: its id.
        purpose: what for, in words.
        norm, basis: the legal basis: the norm, and in words.
        data: what the events are about: the contract's title.
        topic: the contract.
        categories: the fields that are given, each with its sensitivity.
        third_country: the recipient's country if it lies outside of the Economic Area; else empty.
        erased: the contract's retention: ``last-state`` or an ISO 8601 duration.
        since, until: when it was allowed, in RFC 3339; until the earliest of its ends.
        state: ``live``, ``pending``, ``expired``, ``revoked`` or ``ended``.
        grant: the grant's id.
    """

    controller: str
    contact: str
    privacy: str
    recipient: str
    recipient_id: str
    purpose: str
    norm: str
    basis: str
    data: str
    topic: str
    categories: tuple[tuple[str, str], ...]
    third_country: str
    erased: str
    since: str
    until: str
    state: str
    grant: str


def register(
    grants: Iterable[Grant],
    contracts: Mapping[str, Contract],
    contacts: Mapping[str, Contact],
    *,
    owner: str | None,
    language: Language,
    at_ms: int,
) -> list[Activity]:
    """Return the register of one member: what is or was granted, in the order of the grants.

    Args:
        grants: those on its data, or those that give it data; what was never approved is left out.
        contracts: by topic.
        contacts: of members, by id; who is missing is named by its id.
        owner: the controller; None: who decided on each grant, in the register of a recipient.
        language: of titles and purposes.
        at_ms: now, in milliseconds since 1970.
    """
    return [
        _activity(
            grant,
            contracts.get(grant.terms.topic),
            owner or grant.terms.owner.member,
            contacts,
            language,
            at_ms,
        )
        for grant in grants
        if grant.state in (State.APPROVED, State.REVOKED, State.ENDED)
    ]


def _activity(
    grant: Grant,
    contract: Contract | None,
    owner: str,
    contacts: Mapping[str, Contact],
    language: Language,
    at_ms: int,
) -> Activity:
    terms = grant.terms
    controller = contacts.get(owner, Contact(owner, "", ""))
    recipient = contacts.get(terms.recipient, Contact(terms.recipient, "", ""))
    country = terms.recipient.partition(".")[0]
    purpose = PURPOSES[terms.purpose]
    sensitivity = contract.sensitivity if contract else {}
    return Activity(
        controller=controller.name,
        contact=controller.contact,
        privacy=controller.privacy,
        recipient=recipient.name,
        recipient_id=terms.recipient,
        purpose=purpose.de if language == "de" else purpose.en,
        norm=terms.basis.norm,
        basis=terms.basis.text,
        data=contract.title[language] if contract else terms.topic,
        topic=terms.topic,
        categories=tuple((name, sensitivity.get(name, "")) for name in terms.fields),
        third_country="" if country in EUROPEAN else country,
        erased=contract.retention if contract else "",
        since=write_time(max(terms.since, _at(grant.decided_ms) or terms.since)),
        until=write_time(min(terms.until, _at(grant.ended_ms) or terms.until)),
        state=grant.phase(at_ms),
        grant=grant.id.hex(),
    )


def contacts_of(members: Iterable[Member]) -> dict[str, Contact]:
    """Return how a register names members."""
    return {one.id: Contact(one.name, one.contact, one.privacy) for one in members}


COLUMNS = tuple(field.name for field in fields(Activity))
"""The names of a row's cells, for a file of comma-separated values."""


def cells(row: Activity) -> list[str]:
    """Return a row as texts; none of them is taken for a formula by a spreadsheet (OWASP)."""
    found = []
    for name in COLUMNS:
        value = getattr(row, name)
        if name == "categories":
            value = ", ".join(f"{field} ({word})" if word else field for field, word in value)
        found.append(f"'{value}" if value[:1] in _FORMULA else value)
    return found


_FORMULA = tuple("=+-@\t\r")


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms // 1000, UTC)
