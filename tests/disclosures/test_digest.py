"""Owner and recipient compare what each has of a day's disclosures."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.disclosures import Disclosure
from bus.disclosures.digest import Entry, entry_of, entry_on, totals
from bus.errors import NotVerified
from bus.kafka import Fetched
from bus.router.routing import Write
from bus.trust.attestation import ATTESTATION, GRANT
from bus.trust.signature import WITHHELD
from tests.disclosures.told import CONTRACT, TAX, WATER, told
from tests.disclosures.vectors import ENTRIES, FILE, vectors
from tests.router.town import Given, Town, begun, move, on

SUBJECT = "pseudonym"


def on_feeds(town: Town, writes: Sequence[Write]) -> list[Entry]:
    """Return what recipients see."""
    found = []
    for topic, partition, record in writes:
        recipient = topic.removeprefix("feed.").removesuffix(f".{CONTRACT}")
        read = on(topic, partition, record)
        found.append(entry_on(read, recipient, town.projection.names, SUBJECT))
    return found


def busy(town: Town) -> tuple[list[Write], list[Disclosure]]:
    """Have all sorts of records written: events, sources' tombstones and the router's."""
    town.grant(Given(**{TAX: "cause new_address", WATER: "pseudonym valid_from corrects"}))
    passed = [town.passed(town.record(move(pseudonym=f"person-{n}"))) for n in range(4)]
    passed.append(town.passed(town.tombstone("person-1")))
    passed.append(town.passed(town.record(move(pseudonym="person-2", sealed=True))))
    town.grant(Given(**{TAX: "cause new_address"}))
    key = town.record(move(pseudonym="person-3")).key or b""
    withdrawn = town.route.withdraw(key, town.now)
    assert withdrawn is not None
    writes = [write for one in passed for write in one.writes] + withdrawn.writes
    return writes, [one for each in passed for one in each.disclosures] + withdrawn.disclosures


def test_both_sides_have_the_same() -> None:
    town = begun()
    writes, disclosures = busy(town)
    assert len(writes) == len(disclosures) == 13
    assert on_feeds(town, writes) == [entry_of(one) for one in disclosures]
    assert totals(on_feeds(town, writes)) == totals(map(entry_of, disclosures))
    assert {line.recipient: count for line, count, _ in totals(on_feeds(town, writes))} == {
        TAX: 6,
        WATER: 7,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"recipient": WATER},
        {"topic": "resident.other.v1"},
        {"partition": 4},
        {"event": told(9).event},
        {"grants": ()},
        {"fields": ("cause",)},
        {"at_ms": told().at_ms + 1},
    ],
)
def test_what_one_side_has_otherwise_shows(changed: dict[str, Any]) -> None:
    others = [entry_of(told(n)) for n in range(2, 5)]
    same = totals([entry_of(told()), *others])
    assert totals([*others, entry_of(told())]) == same
    assert totals([*others, entry_of(told())._replace(**changed)]) != same
    assert totals(others) != same


def test_what_the_recipient_cannot_know_does_not_count() -> None:
    unknown = told(subject="another", owner="de.mun.1", purposes=("water",), offset=None)
    assert entry_of(unknown) == entry_of(told())


@given(st.permutations(ENTRIES), st.lists(st.sampled_from(ENTRIES)))
def test_neither_order_nor_repeats_matter(entries: list[Entry], again: list[Entry]) -> None:
    assert totals([*entries, *again]) == totals(ENTRIES)


def test_days_are_those_of_the_attested_moment() -> None:
    days = [line.day for line, _, _ in totals(entry_of(told(n, at_ms=n)) for n in (0, 86_399_999))]
    assert days == [date(1970, 1, 1)]
    assert entry_of(told(at_ms=86_400_000)).day == date(1970, 1, 2)


def test_the_vectors_are_what_is_computed() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(vectors()))


@pytest.mark.parametrize(
    ("header", "value", "what"),
    [
        (ATTESTATION, None, "stadtbus-attestation is missing"),
        (ATTESTATION, b"\1short", "stadtbus-attestation has 6 bytes"),
        (GRANT, None, "stadtbus-grant is missing"),
        (GRANT, b"xyz", "does not name grants"),
        (WITHHELD, None, "stadtbus-withheld is missing"),
        ("ce_id", b"\xff", "ce_id is no text"),
        ("ce_type", None, "ce_type is missing"),
    ],
)
def test_a_record_that_is_none_of_the_routers_is_refused(
    header: str, value: bytes | None, what: str
) -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause"}))
    ((topic, partition, record),) = town.passed(town.record(move())).writes
    headers = {**dict(record.headers), header: value}
    kept = [(name, given) for name, given in headers.items() if given is not None]
    read: Fetched = on(topic, partition, record._replace(headers=kept))
    with pytest.raises(NotVerified, match=what):
        entry_on(read, TAX, town.projection.names, SUBJECT)
