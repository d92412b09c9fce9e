"""Which keys counted when, and who speaks for whom on which day."""

from datetime import date, timedelta

import pytest

from tests.trust.parties import ILZER_LAND, OFFICE, PERLESREUT, RINGELAI, Parties, town

MELDEWESEN = f"{RINGELAI}.meldewesen"
DAY = date(2026, 7, 1)
R, P = "092720140140", "092725214138"


@pytest.fixture
def bus() -> Parties:
    return town()


def fault(bus: Parties, name: str, at: int) -> str | None:
    return bus.ledger.standing.fault_of(bus.key(name).key_id, at)


def test_a_key_counts_from_when_it_was_attested_until_it_ends(bus: Parties) -> None:
    key = bus.ledger.standing.keys[bus.key(MELDEWESEN).key_id]
    assert key.until is not None
    assert key.since == bus.at  # not a minute before, though it says so
    for at, expected in (
        (key.since - 1, "not-yet-valid"),
        (key.since, None),
        (key.until - 1, None),
        (key.until, "expired"),
    ):
        assert fault(bus, MELDEWESEN, at) == expected
    assert bus.ledger.standing.fault_of("0" * 32, bus.at) == "unknown-key"


def test_a_key_that_begins_later(bus: Parties) -> None:
    new_key = bus.new_key(bus.key("new"), since=timedelta(days=10))
    assert bus.say("system", {"system": MELDEWESEN, "key": new_key}, bus.key(RINGELAI)) is None
    later = bus.at + 10 * 86_400_000
    assert fault(bus, "new", bus.at) == "not-yet-valid"
    both = bus.ledger.standing.signers_of(MELDEWESEN, later)
    assert [key.id for key in both] == [bus.key(MELDEWESEN).key_id, bus.key("new").key_id]


def test_what_arrived_before_a_revocation_still_verifies(bus: Parties) -> None:
    before = bus.at
    said = {"key": bus.key(MELDEWESEN).key_id}
    assert bus.say("key-revoked", said, bus.key(RINGELAI)) is None
    assert fault(bus, MELDEWESEN, before) is None
    assert fault(bus, MELDEWESEN, bus.at - 1) is None
    assert fault(bus, MELDEWESEN, bus.at) == "revoked"


def test_a_revocation_is_not_dated_back_but_may_begin_later(bus: Parties) -> None:
    key_id, by = bus.key(MELDEWESEN).key_id, bus.key(RINGELAI)
    before = bus.at
    says = {"key": key_id, "from": "2026-07-11T00:00:00Z"}
    assert bus.say("key-revoked", says, by) is None
    assert fault(bus, MELDEWESEN, bus.at) is None
    assert fault(bus, MELDEWESEN, bus.at + 10 * 86_400_000) == "revoked"
    assert bus.say("key-revoked", {"key": key_id, "from": "2020-01-01T00:00:00Z"}, by) is None
    assert fault(bus, MELDEWESEN, before) is None
    assert fault(bus, MELDEWESEN, bus.at) == "revoked"
    alarm = bus.say("key-revoked", {"key": key_id}, by)
    assert alarm is not None
    assert "revoked already" in alarm.sentence


def test_a_suspended_member_and_its_systems_sign_nothing_meanwhile(bus: Parties) -> None:
    active = bus.at
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    suspended = bus.at
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    for name in (RINGELAI, MELDEWESEN):
        assert fault(bus, name, active) is None
        assert fault(bus, name, suspended) == "suspended"
        assert fault(bus, name, bus.at) is None
    assert fault(bus, PERLESREUT, suspended) is None


def test_who_has_left_or_is_retired_signs_nothing(bus: Parties) -> None:
    assert bus.say("system-retired", {"system": MELDEWESEN}, bus.key(RINGELAI)) is None
    retired = bus.at
    assert bus.say("member-left", {"member": RINGELAI}, bus.key(RINGELAI)) is None
    assert fault(bus, MELDEWESEN, retired - 1) is None
    assert fault(bus, MELDEWESEN, retired) == "retired"
    assert fault(bus, RINGELAI, retired) is None
    assert fault(bus, RINGELAI, bus.at) == "left"
    assert bus.ledger.standing.signers_of(MELDEWESEN, bus.at) == []
    assert bus.ledger.standing.signers_of("de.util.nobody", bus.at) == []


def test_a_member_changes_its_key_with_overlap(bus: Parties) -> None:
    new = bus.key("new")
    says = {"member": RINGELAI, "key": bus.new_key(new)}
    assert bus.say("key", says, bus.key(RINGELAI), new) is None
    for by in (bus.key(RINGELAI), new):
        bus.keys.pop(f"{RINGELAI}.x", None)
        system = f"{RINGELAI}.s{by.key_id[:6]}"
        said = {"system": system, "key": bus.new_key(bus.key(system))}
        assert bus.say("system", said, by) is None
    assert bus.say("key-revoked", {"key": bus.key(RINGELAI).key_id}, new) is None
    assert bus.attest(f"{RINGELAI}.y", RINGELAI) is not None
    assert fault(bus, f"{RINGELAI}.s{bus.key(RINGELAI).key_id[:6]}", bus.at) is None


@pytest.mark.parametrize(
    ("name", "ars", "expected"),
    [
        (RINGELAI, R, True),
        (MELDEWESEN, R, True),
        (RINGELAI, P, False),
        (OFFICE, R, False),
        (ILZER_LAND, R, True),
        (f"{ILZER_LAND}.portal", R, True),
        (ILZER_LAND, P, False),
        ("de.util.nobody", R, False),
        ("", R, False),
    ],
)
def test_who_speaks_for_whom(bus: Parties, name: str, ars: str, expected: bool) -> None:
    assert bus.admit(ILZER_LAND) is None
    belongs = {"association": {"value": ILZER_LAND, "from": "2026-01-01"}}
    assert bus.say("member-changed", {"member": RINGELAI} | belongs, bus.root) is None
    standing = bus.ledger.standing
    assert standing.speaks_for(name, ars, DAY) is expected
    if name == ILZER_LAND:
        assert not standing.speaks_for(name, ars, date(2025, 12, 31))


def test_a_reform_two_municipalities_merge_and_the_code_changes(bus: Parties) -> None:
    """Ringelai takes Perlesreut in, and gets a new code: rights follow, and history holds."""
    merged, new, eve = date(2027, 1, 1), "092720199199", date(2026, 12, 31)
    for member, value in ((PERLESREUT, None), (RINGELAI, new)):
        says = {"member": member, "ars": {"value": value, "from": merged.isoformat()}}
        assert bus.say("member-changed", says, bus.root) is None
    standing = bus.ledger.standing
    cases = [
        (RINGELAI, R, eve, True),
        (PERLESREUT, P, eve, True),
        (RINGELAI, new, eve, False),
        (RINGELAI, new, merged, True),
        (RINGELAI, R, merged, False),
        (PERLESREUT, P, merged, False),
    ]
    for name, ars, day, expected in cases:
        assert standing.speaks_for(name, ars, day) is expected
    holders = [(R, eve, RINGELAI), (R, merged, None), (new, eve, None), (new, merged, RINGELAI)]
    for ars, day, holder in holders:
        assert standing.holder_of(ars, day) == holder
    assert [one.id for one in standing.members_under("09272", eve)] == [RINGELAI, PERLESREUT]
    assert [one.id for one in standing.members_under("09272", merged)] == [RINGELAI]
    # The code that nobody has any more may be given to another member.
    says = {"member": PERLESREUT, "ars": {"value": R, "from": "2028-01-01"}}
    assert bus.say("member-changed", says, bus.root) is None


def test_a_code_is_free_once_its_member_has_left(bus: Parties) -> None:
    says = {"member": RINGELAI, "ars": {"value": P, "from": "2026-08-01"}}
    assert bus.say("member-changed", says, bus.root) is not None
    assert bus.say("member-left", {"member": PERLESREUT}, bus.root) is None
    assert bus.say("member-changed", says, bus.root) is None
    assert bus.ledger.standing.speaks_for(RINGELAI, P, date(2026, 8, 1))
    assert not bus.ledger.standing.speaks_for(PERLESREUT, P, date(2026, 8, 1))


def test_municipalities_under_a_prefix_in_the_order_of_their_codes(bus: Parties) -> None:
    found = bus.ledger.standing.members_under("09272", DAY)
    assert [one.id for one in found] == [RINGELAI, PERLESREUT]
    assert [one.id for one in bus.ledger.standing.members_under("092725", DAY)] == [PERLESREUT]
    assert bus.ledger.standing.members_under("01", DAY) == []
