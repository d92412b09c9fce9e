"""The page of one contract: what it promises, how it changed, who publishes and who reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bus.contracts import Contract
from bus.errors import BusError, InvalidContract
from bus.portal.catalogue import Known
from bus.portal.changes import Change, Field, changes, fields
from bus.portal.masking import Masking
from bus.portal.page import Page, Query, Sources
from bus.portal.picture import Picture
from bus.portal.publishers import Sample
from bus.portal.viewer import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of the schema: its number, its id, and what changed from the one before."""

    number: int
    schema_id: int | None
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A group with positions: events a second that it handles, unread ones, and their age."""

    group: str
    rate: float | None
    records: int
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractView:
    """What the page shows.

    Args:
        topic: what was asked for.
        contract: the contract; None: there is none, or it is not known.
        trouble: why it is not known, or may be old; None if neither.
        fields: those of the newest version.
        versions: newest first.
        examples: names and masked data as JSON.
        readers: who reads; None: the bus was not seen yet.
        received: events a second that were published; None: not known.
        sample: who publishes; None: being looked at.
    """

    topic: str
    contract: Contract | None
    trouble: BusError | None
    fields: Sequence[Field]
    versions: Sequence[Version]
    examples: Sequence[tuple[str, str]]
    readers: Sequence[Reader] | None
    received: float | None
    sample: Sample | None


def view(topic: str, known: Known, picture: Picture | None, sample: Sample | None) -> ContractView:
    """Return what the page shows.

    Args:
        topic: the contract's.
        known: the contracts.
        picture: the bus as it was last seen; None: never yet.
        sample: who publishes; None: being looked at.
    """
    found, trouble = (known.contracts or {}).get(topic), known.trouble
    contract = None
    try:
        contract = Contract.from_json(found, topic) if found else None
    except InvalidContract as error:  # put in force by a version with other rules
        trouble = error
    return ContractView(
        topic=topic,
        contract=contract,
        trouble=trouble,
        fields=fields(contract.versions[-1]) if contract else (),
        versions=_versions(contract) if contract else (),
        examples=_examples(contract) if contract else (),
        readers=_readers(topic, picture) if picture else None,
        received=picture.received(topic) if picture else None,
        sample=sample,
    )


def _versions(contract: Contract) -> list[Version]:
    ids = (*contract.schema_ids, *[None] * len(contract.versions))
    found = []
    for number, schema in enumerate(contract.versions, 1):
        changed = changes(contract.versions[number - 2], schema) if number > 1 else []
        found.append(Version(number=number, schema_id=ids[number - 1], changes=changed))
    return found[::-1]


def _examples(contract: Contract) -> list[tuple[str, str]]:
    masking = Masking.of(contract)
    return [
        (name, json.dumps(masking.data(data), ensure_ascii=False, indent=2))
        for name, data in contract.examples.items()
    ]


def _readers(topic: str, picture: Picture) -> list[Reader]:
    found = []
    for group in picture.groups():
        if (one := group.subscriptions.get(topic)) is not None:
            rate = picture.sent(group.group, topic)
            reader = Reader(group=group.group, rate=rate, records=one.records, seconds=one.seconds)
            found.append(reader)
    return sorted(found, key=lambda reader: reader.group)


def _look(sources: Sources, query: Query) -> ContractView:
    topic = query.get("topic", "")[:249]
    seen = sources.picture is not None and topic in sources.picture.survey.topics
    sample = sources.publishers(topic) if seen else None
    return view(topic, sources.contracts(), sources.picture, sample)


PAGE = Page(
    name="contract",
    path="/contract",
    role=Role.VIEWER,
    view=_look,
    listed=lambda sources: False,
)
