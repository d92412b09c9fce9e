"""What each recipient gets of a restricted contract's event, and loses of it."""

from datetime import date

import pytest

from bus.event import key_of
from bus.kafka import Fetched
from bus.router.held import Had, withdrawn
from bus.router.routing import Passed, Refused
from bus.trust.grants.matching import Granted
from tests.router.feeds import Seen, seen
from tests.router.town import (
    PORTAL,
    ROUTER,
    STATE,
    STATISTICS,
    TAX,
    TOPIC,
    WATER,
    Given,
    P,
    Town,
    begun,
    cases,
    move,
    nothing_but,
)
from tests.trust.parties import ILZER_LAND, PERLESREUT, RINGELAI

NEW, LATER = "new_address", "valid_from"


def views(town: Town, passed: Passed) -> list[Seen]:
    """Return what recipients see."""
    public = town.parties.key(PORTAL).public
    return [seen(write, town.projection, public) for write in passed.writes]


def by_recipient(town: Town, passed: Passed) -> dict[str, Seen]:
    found = views(town, passed)
    assert len({one.recipient for one in found}) == len(found)
    return {one.recipient: one for one in found}


def test_each_recipient_gets_what_it_is_granted_and_no_more() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause new_address", WATER: "pseudonym valid_from"}))
    data, record = move(), town.record(move())
    found = by_recipient(town, town.passed(record))
    assert found.keys() == {TAX, WATER}
    assert found[TAX].data == nothing_but(cause="MOVE", new_address=data["new_address"])
    assert found[WATER].data == nothing_but(valid_from=data["valid_from"])
    assert found[TAX].given == {"cause", "new_address"}
    assert found[WATER].given == {"valid_from"}
    for view in found.values():
        assert view.record.partition == record.partition
        assert view.headers["ce_id"] == dict(record.headers)["ce_id"]
        assert view.headers["stadtbus-state"] == STATE.encode()
        assert view.grants == [view.recipient.encode().ljust(16).hex()]
    assert "ce_subject" not in found[TAX].headers
    assert found[WATER].headers["ce_subject"] != b"person-1"
    assert len({view.record.key for view in found.values()} | {record.key}) == 3


@pytest.mark.parametrize("granted", ["cause", "cause pseudonym", "register cause sealed"])
def test_sizes_tell_nothing_of_what_is_withheld(granted: str) -> None:
    town = begun()
    town.grant(Given(**{TAX: granted}))
    address = {**move()["new_address"], "street": "An der langen Straße" * 9, "suffix": "a"}
    more = {"old_address": address, "household": None, "corrects": "x" * 40, "new_address": None}
    sizes = []
    for data in (move(), move(**more, pseudonym="person-1" * 8, valid_from=date(1, 1, 1))):
        (view,) = views(town, town.passed(town.record(data)))
        key, value = view.record.key or b"", view.record.value or b""
        sizes.append((len(key), len(value), {n: len(v) for n, v in view.headers.items()}))
    assert sizes[0] == sizes[1]


def test_a_person_is_called_the_same_on_all_that_an_owner_gives_a_recipient() -> None:
    town = begun()
    town.grant(Given(**{TAX: "pseudonym", WATER: "pseudonym"}))
    again = [
        by_recipient(town, town.passed(town.record(move(cause=cause, municipality=ars))))
        for cause, ars in (("MOVE", "092720140140"), ("CORRECTION", "092720140140"))
    ]
    other = by_recipient(town, town.passed(town.record(move(pseudonym="person-2"))))
    for recipient in (TAX, WATER):
        first, second = (one[recipient] for one in again)
        assert first.record.key == second.record.key != other[recipient].record.key
        subjects = [one.headers["ce_subject"] for one in (first, second, other[recipient])]
        assert subjects[0] == subjects[1] != subjects[2]


def test_a_key_is_given_where_all_of_it_is_granted_and_it_names_no_person() -> None:
    town = begun(cases())
    town.grant(Given(**{TAX: "register case", WATER: "register", STATISTICS: "case"}))
    record = town.record({**move(), "case": "case-1"})
    found = by_recipient(town, town.passed(record))
    assert found[TAX].record.key == record.key
    assert found[TAX].given == {"@key", "register", "case"}
    assert found[WATER].record.key != record.key != found[STATISTICS].record.key
    assert found[WATER].given == {"register"}


def test_nobody_hears_of_a_sealed_person_and_who_did_loses_it() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause sealed", WATER: "pseudonym"}))
    before = by_recipient(town, town.passed(town.record(move())))
    found = by_recipient(town, town.passed(town.record(move(sealed=True, cause="SEALED"))))
    for recipient in (TAX, WATER):
        view = found[recipient]
        assert (view.data, view.signed) == (None, None)
        assert view.record.key == before[recipient].record.key
        assert view.headers["ce_source"] == f"urn:stadtbus:{ROUTER}".encode()
        assert view.headers["ce_id"] != before[recipient].headers["ce_id"]
    assert not town.sent
    assert not town.passed(town.record(move(sealed=True, household=None))).writes
    unsealed = by_recipient(town, town.passed(town.record(move(cause="UNSEALED"))))
    assert unsealed[TAX].data == nothing_but(cause="UNSEALED", sealed=False)


def test_a_sources_tombstone_goes_to_those_who_had_the_key() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause"}))
    first = by_recipient(town, town.passed(town.record(move())))
    town.grant(Given(**{TAX: "cause", WATER: "cause"}))
    found = by_recipient(town, town.passed(town.tombstone()))
    assert found.keys() == {TAX}
    assert found[TAX].record.key == first[TAX].record.key
    assert found[TAX].data is None
    assert found[TAX].signed is not None
    assert not found[TAX].given
    assert not town.sent
    assert not town.passed(town.tombstone()).writes


def test_a_tombstone_keeps_a_key_that_was_given() -> None:
    town = begun(cases())
    town.grant(Given(**{TAX: "register case"}))
    record = town.record({**move(), "case": "case-1"})
    town.passed(record)
    end = town.record(None, key=key_of([ILZER_LAND, "case-1"]), subject="person-1")
    view = by_recipient(town, town.passed(end))[TAX]
    assert (view.record.key, view.given) == (record.key, {"@key"})


def test_who_is_granted_no_more_loses_the_key_at_its_next_event() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause", WATER: "cause"}))
    town.passed(town.record(move()))
    town.grant(Given(**{WATER: "cause"}))
    found = by_recipient(town, town.passed(town.record(move(cause="DEATH"))))
    assert found[TAX].data is None
    assert found[WATER].data == nothing_but(cause="DEATH")


def test_who_gets_a_person_under_another_owner_loses_them_under_the_first() -> None:
    town = begun()
    town.grant(Given(**{TAX: "pseudonym"}))
    (first,) = views(town, town.passed(town.record(move())))
    gone, given = views(town, town.passed(town.record(move(municipality=P))))
    assert gone.data is None
    assert gone.record.key == first.record.key != given.record.key
    assert first.headers["ce_subject"] != given.headers["ce_subject"]
    owners = [one.owner for one in town.passed(town.record(move())).disclosures]
    assert owners == [PERLESREUT, RINGELAI]


def _takes_over(town: Town, record: Fetched) -> bool:
    found = town.take(record)
    assert isinstance(found, Passed) or found.reason == "not-entitled"
    return isinstance(found, Passed)


@pytest.mark.parametrize(
    ("system", "ars", "may"),
    [
        (f"{RINGELAI}.meldewesen", "092720140140", True),
        (f"{PERLESREUT}.meldewesen", P, False),
        (PORTAL, P, True),
    ],
)
@pytest.mark.parametrize("ends", [False, True])
def test_no_member_withdraws_what_another_one_announced(
    system: str, ars: str, may: bool, ends: bool
) -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause"}))
    town.passed(town.record(move()))
    before = town.sent
    after = (
        town.tombstone(system=system, municipality=ars)
        if ends
        else town.record(move(municipality=ars), system=system)
    )
    assert _takes_over(town, after) is may
    assert (town.sent == before) is not may


def test_what_was_sent_under_a_grant_that_ended_is_taken_back() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause", WATER: "cause"}))
    record = town.record(move())
    first = by_recipient(town, town.passed(record))
    key = record.key or b""
    assert town.route.withdraw(key, town.now) is None
    assert town.route.withdraw(b"another", town.now) is None
    town.grant(Given(**{WATER: "cause"}))
    found = town.route.withdraw(key, town.now)
    assert found is not None
    (write,) = found.writes
    view = seen(write, town.projection, town.parties.key(PORTAL).public)
    assert (view.recipient, view.data, view.signed) == (TAX, None, None)
    assert view.record.key == first[TAX].record.key
    assert view.record.partition == record.partition
    assert found.held.feeds.keys() == {WATER}
    (told,) = found.disclosures
    assert (told.recipient, told.fields, told.offset) == (TAX, (), None)


def test_who_is_left_with_some_of_its_grants_loses_the_key_until_it_is_sent_anew() -> None:
    town, both = begun(), Given(**{TAX: "cause"})
    first, second = bytes(16), bytes([1] * 16)
    both.granted = [Granted(TAX, ("cause", "valid_from"), (second, first))]
    town.grant(both)
    record = town.record(move())
    (view,) = views(town, town.passed(record))
    assert view.grants == [first.hex(), second.hex()]
    left = Given()
    left.granted = [Granted(TAX, ("cause",), (first,))]
    town.grant(left)
    found = town.route.withdraw(record.key or b"", town.now)
    assert found is not None
    assert [one.recipient for one in found.disclosures] == [TAX]
    assert not found.held.feeds
    (again,) = views(town, town.passed(record))
    assert again.data == nothing_but(cause="MOVE")
    assert again.headers["ce_id"] == view.headers["ce_id"]


def test_a_key_that_is_taken_back_twice_is_so_by_two_events() -> None:
    town = begun()
    record, ids = town.record(move()), set[str]()
    for later in (0, 1000):
        town.grant(Given(**{TAX: "cause"}))
        town.passed(record)
        town.grant(Given())
        found = town.route.withdraw(record.key or b"", town.now + later)
        assert found is not None
        ids |= {one.event for one in found.disclosures}
        town.keep(record.key or b"", None)
    assert len(ids) == 2


def test_each_record_of_a_feed_is_disclosed() -> None:
    town = begun()
    town.grant(Given(**{TAX: "pseudonym cause", WATER: "cause"}))
    record = town.record(move())
    passed = town.passed(record)
    told = {one.recipient: one for one in passed.disclosures}
    assert told.keys() == {TAX, WATER}
    one = told[TAX]
    assert (one.subject, one.owner, one.purposes) == ("person-1", RINGELAI, ("tax",))
    assert (one.fields, told[WATER].fields) == (("cause", "pseudonym"), ("cause",))
    assert one.grants == (TAX.encode().ljust(16),)
    assert one.event == dict(record.headers)["ce_id"].decode()
    assert (one.topic, one.partition, one.offset) == (TOPIC, record.partition, record.offset)
    assert one.at_ms == town.now
    ends = town.passed(town.tombstone())
    assert [(one.recipient, one.subject, one.fields) for one in ends.disclosures] == [
        (recipient, "person-1", ()) for recipient in (TAX, WATER)
    ]


def test_what_is_refused_changes_nothing() -> None:
    town = begun()
    town.grant(Given(**{TAX: "cause"}))
    town.passed(town.record(move()))
    before = town.sent
    assert isinstance(town.take(town.record(move(municipality="1"))), Refused)
    assert town.sent == before


A, B, OTHER = Had(b"a", ()), Had(b"b", ()), Had(b"a", (bytes(16),))


@pytest.mark.parametrize(
    ("before", "now", "gone"),
    [
        ({}, {}, []),
        ({}, {TAX: A}, []),
        ({TAX: A}, {TAX: A}, []),
        ({TAX: A}, {TAX: OTHER}, []),
        ({TAX: A}, {}, [(TAX, A)]),
        ({TAX: A}, {TAX: B}, [(TAX, A)]),
        ({TAX: A, WATER: B}, {WATER: B, STATISTICS: A}, [(TAX, A)]),
    ],
)
def test_what_is_withdrawn(
    before: dict[str, Had], now: dict[str, Had], gone: list[tuple[str, Had]]
) -> None:
    assert withdrawn(before, now) == gone
