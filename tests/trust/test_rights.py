"""What systems may do, as rules; and which rules of an engine are missing or too many."""

from dataclasses import replace

import pytest

from bus.admin import Rule
from bus.trust.lockout import denials
from bus.trust.rights import changes, rights_of, wanted
from tests.trust.parties import OFFICE, PERLESREUT, RINGELAI, Parties, town

MELDEWESEN, BERICHT = f"{RINGELAI}.meldewesen", f"{OFFICE}.bericht"
READINGS, RESIDENTS = "sensor.reading.v1", "resident.address-changed.v1"
CONTRACTS = {READINGS, RESIDENTS}

READING = {
    ("Read", "topic", "feed.open.*"),
    ("Read", "topic", f"feed.{RINGELAI}.*"),
    ("Read", "group", f"{RINGELAI}.*"),
    *(
        (operation, "topic", f"{kept}.{RINGELAI}.*")
        for kept in ("dead", "redrive")
        for operation in ("Create", "Read", "Write")
    ),
}


@pytest.fixture
def bus() -> Parties:
    return town()


def registered(bus: Parties, *topics: str) -> None:
    says = {"system": MELDEWESEN, "topics": list(topics)}
    assert bus.say("system-publishes", says, bus.key(RINGELAI)) is None


def now(bus: Parties) -> set[Rule]:
    return wanted(bus.ledger.standing, CONTRACTS, bus.at)


def words(rules: set[Rule]) -> set[tuple[str, str, str]]:
    assert all(rule.allow and rule.host == "*" for rule in rules)
    return {
        (rule.operation, rule.kind, f"{rule.name}*" if rule.prefixed else rule.name)
        for rule in rules
    }


def test_a_system_may_read_feeds_and_keep_what_its_member_set_aside(bus: Parties) -> None:
    assert {rule.user for rule in now(bus)} == {MELDEWESEN}
    assert words(now(bus)) == READING


def test_every_prefix_ends_in_a_dot(bus: Parties) -> None:
    """Or a member would have the rights of another whose name begins with its own."""
    assert all(rule.name.endswith(".") for rule in now(bus) if rule.prefixed)


def test_it_may_write_to_contracts_that_it_is_registered_for(bus: Parties) -> None:
    registered(bus, RESIDENTS, READINGS)
    write = {("Write", "topic", READINGS), ("Write", "topic", RESIDENTS)}
    assert words(now(bus)) == READING | write
    registered(bus, READINGS)
    assert words(now(bus)) == READING | {("Write", "topic", READINGS)}
    registered(bus)
    assert words(now(bus)) == READING


def test_a_contract_that_is_not_in_force_gives_no_right(bus: Parties) -> None:
    registered(bus, "waste.collection-changed.v1")
    assert words(now(bus)) == READING


def test_each_right_has_a_reason(bus: Parties) -> None:
    registered(bus, READINGS)
    system = bus.ledger.standing.systems[MELDEWESEN]
    assert {right.rule for right in rights_of(system, CONTRACTS)} == now(bus)
    assert all(right.why for right in rights_of(system, CONTRACTS))


def test_who_is_locked_out_is_denied_everything_and_allowed_nothing(bus: Parties) -> None:
    registered(bus, READINGS)
    rights = now(bus)
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    assert now(bus) == set(denials(MELDEWESEN))
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    assert now(bus) == rights
    assert bus.say("system-retired", {"system": MELDEWESEN}, bus.root) is None
    assert now(bus) == set(denials(MELDEWESEN))


MORE = Rule(user=MELDEWESEN, kind="topic", name=READINGS, operation="Read")
BY_HAND = [
    pytest.param(MORE, True, id="a right that the journal does not give"),
    pytest.param(replace(MORE, host="192.0.2.1"), True, id="from one address"),
    pytest.param(replace(MORE, user="operator"), False, id="an operator's"),
    pytest.param(replace(MORE, user=f"{PERLESREUT}.x"), False, id="of a system nobody attested"),
    pytest.param(replace(MORE, user="*"), False, id="everybody's"),
    pytest.param(replace(MORE, allow=False), False, id="a denial by hand"),
]


@pytest.mark.parametrize(("rule", "too_many"), BY_HAND)
def test_what_somebody_added_by_hand(bus: Parties, rule: Rule, too_many: bool) -> None:
    shall = now(bus)
    missing, surplus = changes(bus.ledger.standing, shall, shall | {rule})
    assert (missing, surplus) == (set(), {rule} if too_many else set())


def test_what_is_missing_is_named(bus: Parties) -> None:
    shall = now(bus)
    gone = min(shall)
    assert changes(bus.ledger.standing, shall, shall - {gone}) == ({gone}, set())
    assert changes(bus.ledger.standing, shall, ()) == (shall, set())


def test_a_lockout_ends_as_a_whole(bus: Parties) -> None:
    standing, lockout = bus.ledger.standing, set(denials(MELDEWESEN))
    assert changes(standing, now(bus), now(bus) | lockout) == (set(), set())
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    assert changes(standing, now(bus), lockout) == (set(), set())
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    assert changes(standing, now(bus), lockout) == (now(bus), lockout)
    some = set(sorted(lockout)[1:])
    assert changes(standing, now(bus), now(bus) | some) == (set(), set())


def test_a_copy_of_who_is_who_stays_as_it_was(bus: Parties) -> None:
    before, copy = now(bus), bus.ledger.standing.copy()
    registered(bus, READINGS)
    assert (
        bus.admit("de.mun.092720118118", ars={"value": "092720118118", "from": "2020-01-01"})
        is None
    )
    assert wanted(copy, CONTRACTS, bus.at) == before
    assert "de.mun.092720118118" not in copy.members
