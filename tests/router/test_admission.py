"""What is refused of a restricted contract, and for which reason."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.kafka import Fetched
from bus.router.routing import Passed, Refused
from tests.router.town import (
    MELDEWESEN,
    OLDEST_MS,
    PORTAL,
    TAX,
    Given,
    P,
    R,
    Town,
    begun,
    move,
    residents,
)
from tests.trust.parties import ILZER_LAND, PERLESREUT, RINGELAI, signer

UNCOVERED = ("stadtbus-seq", "traceparent")


def without(name: str) -> Callable[[Fetched], Fetched]:
    return lambda r: r._replace(headers=[pair for pair in r.headers if pair[0] != name])


def having(name: str, value: bytes) -> Callable[[Fetched], Fetched]:
    return lambda r: r._replace(headers=[*without(name)(r).headers, (name, value)])


def elsewhere(record: Fetched) -> Fetched:
    return record._replace(partition=(record.partition + 1) % 3)


ALTERED: dict[str, tuple[Callable[[Fetched], Fetched], str]] = {
    "no key": (lambda r: r._replace(key=None), "bad-key"),
    "another key": (lambda r: r._replace(key=b"de.assoc.ilzer-land:2"), "bad-key"),
    "no frame": (lambda r: r._replace(value=b"\0"), "bad-frame"),
    "a byte more": (lambda r: r._replace(value=(r.value or b"") + b"\0"), "bad-data"),
    "no envelope": (without("ce_id"), "bad-envelope"),
    "another topic's": (having("ce_type", b"resident.other.v1"), "bad-envelope"),
    "elsewhere": (elsewhere, "other-partition"),
    "unsigned": (without("stadtbus-signature"), "unsigned"),
    "no salts": (without("stadtbus-salts"), "malformed-signature"),
    "a header more": (having("ce_note", b"x"), "uncovered-header"),
    "a router's header": (having("stadtbus-grant", b"x"), "uncovered-header"),
    "another time": (having("ce_time", b"2026-07-02T00:00:00Z"), "altered"),
    "another's": (having("ce_source", f"urn:stadtbus:{MELDEWESEN}".encode()), "wrong-key"),
    "another subject": (having("ce_subject", b"person-2"), "altered"),
    "no subject": (without("ce_subject"), "altered"),
    "a sealed one unsealed": (lambda r: r._replace(value=(r.value or b"")[:-1] + b"\1"), "altered"),
}


@pytest.mark.parametrize("change", ALTERED)
def test_what_was_altered_is_refused(change: str) -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause"}))
    alter, reason = ALTERED[change]
    found = town.take(alter(town.record(move())))
    assert isinstance(found, Refused)
    assert (found.reason, bool(found.detail)) == (reason, True)
    assert not town.sent
    assert isinstance(town.take(town.record(move())), Passed)


BY: dict[str, Any] = {"system": MELDEWESEN}
OF_P = move(municipality=P)
WRITTEN: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str]] = {
    "by the association": ({}, move(), ""),
    "by the town itself": (BY, move(register=RINGELAI), ""),
    "by the association for the other": ({}, OF_P, ""),
    "the subject unsaid": ({"subject": None}, move(), ""),
    "by a key nobody knows": ({"signer": signer(77)}, move(), "wrong-key"),
    "about another town": (BY, OF_P, "not-entitled"),
    "about no town there is": ({}, move(municipality="091620000000"), "not-entitled"),
    "about nowhere": ({}, move(municipality=""), "not-entitled"),
    "about a beginning of codes": ({}, move(municipality=R[:8]), "not-entitled"),
    "with the subject of another": ({"subject": "person-2"}, move(), "other-subject"),
    "signed for another topic": ({"ce_type": "resident.other.v1"}, move(), "bad-envelope"),
    "a tombstone": ({"key": f"{ILZER_LAND}:1", "subject": "1"}, None, ""),
    "a tombstone about another town": (
        {**BY, "key": f"{RINGELAI}:1", "subject": "1", "municipality": P},
        None,
        "not-entitled",
    ),
    "a tombstone about nobody": (
        {"key": f"{ILZER_LAND}:1", "subject": None},
        None,
        "other-subject",
    ),
    "a tombstone of another": ({"key": f"{ILZER_LAND}:1", "subject": "2"}, None, "other-subject"),
    "a tombstone of another key": ({"key": "1", "subject": "1"}, None, "bad-key"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_who_may_say_what(case: str) -> None:
    town = begun()
    how, data, reason = WRITTEN[case]
    found = town.take(town.record(data, **how))
    assert (found.reason if isinstance(found, Refused) else "") == reason


@pytest.mark.parametrize(("ars", "reason"), [(R, ""), (P, "other-subject")])
def test_a_tombstone_names_the_municipality_that_its_key_does(ars: str, reason: str) -> None:
    town = begun(replace(residents(), key=("municipality", "pseudonym")))
    found = town.take(town.record(None, key=f"{R}:1", subject="1", municipality=ars))
    assert (found.reason if isinstance(found, Refused) else "") == reason


@pytest.mark.parametrize("name", [RINGELAI, PORTAL, ILZER_LAND])
def test_only_its_own_key_signs_for_a_system(name: str) -> None:
    town = begun()
    record = town.record(move(), system=MELDEWESEN, signer=town.parties.key(name))
    found = town.take(record)
    assert isinstance(found, Refused)
    assert found.reason == "wrong-key"


@pytest.mark.parametrize(
    ("signed", "reason"),
    [(0, ""), (OLDEST_MS, ""), (OLDEST_MS + 1, "too-old"), (-300_000, ""), (-300_001, "")],
)
def test_a_signature_has_its_time(signed: int, reason: str) -> None:
    town = begun()
    arrived = town.now + 2 * OLDEST_MS
    found = town.take(town.record(move(), signed=arrived - signed, arrived=arrived))
    wanted = "signed-after-arrival" if signed < -300_000 else reason
    assert (found.reason if isinstance(found, Refused) else "") == wanted


STANDING: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "revoked": ("key-revoked", {}, RINGELAI, "revoked-key"),
    "retired": ("system-retired", {"system": MELDEWESEN}, RINGELAI, "not-entitled"),
    "suspended": ("member-suspended", {"member": RINGELAI}, "", "not-entitled"),
    "left": ("member-left", {"member": RINGELAI}, RINGELAI, "not-entitled"),
}


@pytest.mark.parametrize("case", STANDING)
def test_what_arrived_before_counts_and_what_arrives_later_does_not(case: str) -> None:
    town = begun()
    kind, says, by, reason = STANDING[case]
    before = town.record(move(), **BY)
    town.parties.now += timedelta(days=1)
    key = town.parties.key(by) if by else town.parties.root
    says = says or {"key": town.parties.key(MELDEWESEN).key_id}
    assert town.parties.say(kind, says, key) is None
    after = town.record(move(pseudonym="person-2"), **BY)
    dated_back = town.record(move(pseudonym="person-3"), **BY, signed=before.timestamp_ms)
    dated_back = dated_back._replace(timestamp_ms=town.parties.at)
    assert isinstance(town.take(before), Passed)
    for record in (after, dated_back):
        found = town.take(record)
        assert isinstance(found, Refused)
        assert found.reason == reason


@pytest.mark.parametrize(("days", "reason"), [(-1, "expired-key"), (0, ""), (366, "expired-key")])
def test_a_key_counts_in_its_time(days: int, reason: str) -> None:
    town = begun()
    arrived = town.now + days * 86_400_000
    found = town.take(town.record(move(), signed=arrived, arrived=arrived))
    assert (found.reason if isinstance(found, Refused) else "") == reason


def test_a_town_that_merges_speaks_by_the_day_on_which_it_arrived() -> None:
    town = begun()
    for member, value in ((PERLESREUT, None), (RINGELAI, "092720199199")):
        says = {"member": member, "ars": {"value": value, "from": "2026-07-02"}}
        assert town.parties.say("member-changed", says, town.parties.root) is None
    day = 86_400_000
    cases = [(R, 0, ""), (R, day, "not-entitled"), ("092720199199", day, "")]
    for ars, later, reason in cases:
        at = town.now + later
        record = town.record(move(municipality=ars), **BY, signed=at, arrived=at)
        found = town.take(record)
        assert (found.reason if isinstance(found, Refused) else "") == reason


@lru_cache(1)  # nothing that is refused leaves a trace in it
def standing_town() -> Town:
    return begun()


@given(st.data())
def test_a_flipped_bit_anywhere_is_refused(data: st.DataObject) -> None:
    town = standing_town()
    record = town.record(move()) if data.draw(st.booleans()) else town.tombstone()
    # The number of a schema is not covered: its text is, and another number has another one.
    value = record.value or b""
    places = [("key", at) for at in range(len(record.key or b""))]
    places += [("value", at) for at in (0, *range(5, len(value))) if value]
    places += [(n, at) for n, v in record.headers for at in range(len(v)) if n not in UNCOVERED]
    where, at = data.draw(st.sampled_from(places))
    bit = 1 << data.draw(st.integers(0, 7))

    def flipped(old: bytes) -> bytes:
        return old[:at] + bytes([old[at] ^ bit]) + old[at + 1 :]

    if where == "key":
        record = record._replace(key=flipped(record.key or b""))
    elif where == "value":
        record = record._replace(value=flipped(value))
    else:
        headers = [(n, flipped(v) if n == where else v) for n, v in record.headers]
        record = record._replace(headers=headers)
    found = town.take(record)
    assert isinstance(found, Refused), (where, at, bit)
