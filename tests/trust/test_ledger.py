"""Who is who: what each kind of statement needs to have an effect, and what it leaves."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from bus.errors import StatementRefused
from bus.trust.keys import public_text
from bus.trust.ledger import BY_ROOT
from tests.trust.parties import (
    ILZER_LAND,
    OFFICE,
    OFFICIAL,
    PERLESREUT,
    RINGELAI,
    Parties,
    signer,
    town,
)

MELDEWESEN = f"{RINGELAI}.meldewesen"
STRANGER = signer(99)
DAY = date(2026, 7, 1)


@pytest.fixture
def bus() -> Parties:
    return town()


def test_a_town_stands_without_alarms(bus: Parties) -> None:
    standing = bus.ledger.standing
    assert bus.ledger.alarms == []
    assert list(standing.members) == [RINGELAI, PERLESREUT, OFFICE]
    assert standing.members[RINGELAI].ars_on(DAY) == "092720140140"
    (key,) = standing.signers_of(MELDEWESEN, bus.at)
    assert key.id == bus.key(MELDEWESEN).key_id
    assert [one.id for one in standing.systems_of(RINGELAI)] == [MELDEWESEN]
    assert standing.root is not None
    assert standing.root.id == bus.root.key_id


def test_nothing_counts_before_there_is_a_root() -> None:
    alarm = Parties().admit(RINGELAI)
    assert alarm is not None
    assert alarm.reason == "state"


Says = Callable[[Parties], dict[str, Any]]


def of_member(bus: Parties) -> dict[str, Any]:
    return {"member": RINGELAI}


def of_system(bus: Parties) -> dict[str, Any]:
    return {"system": MELDEWESEN}


def of_newcomer(bus: Parties) -> dict[str, Any]:
    return bus.admission("de.mun.092720118118") | {
        "ars": {"value": "092720118118", "from": "2020-01-01"}
    }


def of_change(bus: Parties) -> dict[str, Any]:
    return {"member": RINGELAI, "name": "Gemeinde Ringelai"}


def of_new_system(bus: Parties) -> dict[str, Any]:
    system = f"{RINGELAI}.gewerbe"
    return {"system": system, "key": bus.new_key(bus.key(system))}


def of_publishing(bus: Parties) -> dict[str, Any]:
    return {"system": MELDEWESEN, "topics": ["resident.address-changed.v1"]}


def of_new_key(bus: Parties) -> dict[str, Any]:
    return {"member": RINGELAI, "key": bus.new_key(bus.key("new"))}


def of_own_key(bus: Parties) -> dict[str, Any]:
    return {"key": bus.key(RINGELAI).key_id}


def of_systems_key(bus: Parties) -> dict[str, Any]:
    return {"key": bus.key(MELDEWESEN).key_id}


def of_new_root(bus: Parties) -> dict[str, Any]:
    return {"public": public_text(bus.key("new").public)}


ROOT, OWN, NEW = "root", RINGELAI, "new"
PARTIES = (ROOT, OWN, NEW, MELDEWESEN, PERLESREUT)

ENTITLED: list[tuple[str, Says, set[frozenset[str]]]] = [
    ("root", of_new_root, {frozenset({ROOT, NEW})}),
    ("member", of_newcomer, {frozenset({ROOT})}),
    ("member-changed", of_change, {frozenset({ROOT})}),
    ("member-suspended", of_member, {frozenset({ROOT})}),
    ("member-left", of_member, {frozenset({ROOT}), frozenset({OWN})}),
    ("key", of_new_key, {frozenset({ROOT}), frozenset({OWN, NEW})}),
    ("key-revoked", of_own_key, {frozenset({ROOT}), frozenset({OWN})}),
    (
        "key-revoked",
        of_systems_key,
        {frozenset({ROOT}), frozenset({OWN}), frozenset({MELDEWESEN})},
    ),
    ("system", of_new_system, {frozenset({OWN})}),
    ("system-publishes", of_publishing, {frozenset({OWN})}),
    ("system-retired", of_system, {frozenset({ROOT}), frozenset({OWN})}),
]


@pytest.mark.parametrize(("kind", "says", "entitled"), ENTITLED)
@pytest.mark.parametrize("number", range(2 ** len(PARTIES)))
def test_it_counts_if_and_only_if_those_signed_who_may(
    kind: str, says: Says, entitled: set[frozenset[str]], number: int
) -> None:
    """Whoever else has signed changes nothing, whichever of all sets of signers it is."""
    bus = town()
    given = says(bus)
    who = frozenset(name for place, name in enumerate(PARTIES) if number >> place & 1)
    alarm = bus.say(kind, given, *(bus.root if one == ROOT else bus.key(one) for one in who))
    if any(enough <= who for enough in entitled):
        assert alarm is None
    else:
        assert alarm is not None
        assert alarm.reason == "not-entitled"


def test_what_is_altered_after_it_was_signed_has_no_effect(bus: Parties) -> None:
    body = bus.compose("member-suspended", {"member": RINGELAI}, bus.root).body()
    number = bus.append({**body, "text": body["text"].replace(RINGELAI, PERLESREUT)})
    alarm = bus.ledger.alarm_at(number)
    assert alarm is not None
    assert alarm.reason == "not-entitled"
    assert bus.ledger.standing.members[PERLESREUT].phase == "active"


def test_a_statement_counts_once(bus: Parties) -> None:
    suspended = bus.compose("member-suspended", {"member": RINGELAI}, bus.root).body()
    resumed = bus.compose("member-resumed", {"member": RINGELAI}, bus.root).body()
    for body in (suspended, resumed):
        assert bus.ledger.alarm_at(bus.append(body)) is None
    alarm = bus.ledger.alarm_at(bus.append(suspended))
    assert alarm is not None
    assert alarm.reason == "repeated"
    assert bus.ledger.standing.members[RINGELAI].phase == "active"


def test_what_was_not_possible_then_does_not_count_later(bus: Parties) -> None:
    resumed = bus.compose("member-resumed", {"member": RINGELAI}, bus.root).body()
    bus.append(resumed)
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    alarm = bus.ledger.alarm_at(bus.append(resumed))
    assert alarm is not None
    assert alarm.reason == "repeated"


def test_a_statement_with_a_missing_signature_does_not_block_the_whole_one(bus: Parties) -> None:
    statement = bus.compose("key", of_new_key(bus), bus.key(RINGELAI))
    bus.append(statement.body())
    assert bus.ledger.alarm_at(bus.append(statement.signed(bus.key("new")).body())) is None


@pytest.mark.parametrize(
    ("after", "reason"),
    [(timedelta(days=6), None), (timedelta(days=8), "dates"), (timedelta(hours=-1), "dates")],
)
def test_a_statement_is_handed_in_soon(bus: Parties, after: timedelta, reason: str | None) -> None:
    bus.now += timedelta(days=1)
    body = bus.compose("member-suspended", {"member": RINGELAI}, bus.root).body()
    alarm = bus.ledger.alarm_at(bus.append(body, after=after))
    assert (alarm and alarm.reason) == reason


def test_a_statement_for_another_bus_has_no_effect(bus: Parties) -> None:
    body = bus.compose("member-suspended", {"member": RINGELAI}, bus.root).body()
    other = town()
    other.ledger.chain = "d" * 32
    alarm = other.ledger.alarm_at(other.append(body))
    assert alarm is not None
    assert alarm.reason == "other-bus"


@pytest.mark.parametrize(
    ("kind", "says", "reason", "words"),
    [
        ("member", {"member": RINGELAI}, "state", "never given again"),
        ("member", {"key": RINGELAI}, "in-use", "never used twice"),
        ("member", {"days": -1}, "malformed", "until has to be after from"),
        ("member", {"days": 0}, "malformed", "until has to be after from"),
        ("member", {"since": -400}, "dates", "is over"),
        ("member", {"ars": {"value": "092720140141", "from": "2020-01-01"}}, "state", "its id"),
        ("member", {"ars": None}, "state", "its id"),
        ("member", {"ars": {"value": "172720140140", "from": "2020-01-01"}}, "malformed", "ARS"),
        ("member", {"ars": {"value": "9272014014", "from": "2020-01-01"}}, "malformed", "ARS"),
        ("member", {"ars": {"value": 9, "from": "2020-01-01"}}, "malformed", "ARS"),
        ("member", {"contact": "nobody"}, "malformed", "address"),
        ("member", {"name": ""}, "malformed", "name"),
        ("member", {"name": "a\nb"}, "malformed", "plain text"),
        ("member", {"member": "de.town.x"}, "malformed", "no member's id"),
        ("member", {"colour": "red"}, "malformed", "colour"),
        (
            "member",
            {"association": {"value": ILZER_LAND, "from": "2020-01-01"}},
            "unknown",
            "ilzer",
        ),
        ("member", {"association": {"value": OFFICE, "from": "2020-01-01"}}, "unknown", OFFICE),
        ("member-changed", {}, "malformed", "changes nothing"),
        ("member-changed", {"member": "de.util.strom", "name": "x"}, "unknown", "no member"),
        (
            "member-changed",
            {"ars": {"value": "092720140140", "from": "2019-01-01"}},
            "dates",
            "was",
        ),
        (
            "member-changed",
            {"ars": {"value": "092725214138", "from": "2027-01-01"}},
            "in-use",
            "end",
        ),
        ("member-resumed", {}, "state", "is active already"),
        ("key-revoked", {"key": "0" * 32}, "unknown", "no key"),
        ("key-revoked", {"key": "x"}, "malformed", "key"),
        ("nonsense", {}, "unknown", "no kind"),
    ],
)
def test_what_is_not_possible_is_named(
    bus: Parties, kind: str, says: dict[str, Any], reason: str, words: str
) -> None:
    said: dict[str, Any] = {"member": RINGELAI} if kind.startswith("member-") else {}
    if kind == "member":
        said = of_newcomer(bus)
        days, since = says.pop("days", 365), timedelta(days=says.pop("since", 0))
        owner = says.pop("key", said["member"])
        said["key"] = bus.new_key(bus.key(owner), days=days, since=since)
    alarm = bus.say(kind, said | says, bus.root)
    assert alarm is not None
    assert alarm.reason == reason
    assert words in alarm.sentence
    assert not alarm.has_effect


def test_a_member_that_has_left_is_gone_for_good(bus: Parties) -> None:
    assert bus.say("member-left", {"member": RINGELAI}, bus.key(RINGELAI)) is None
    for kind in ("member-left", "member-suspended", "member-resumed", "member-changed"):
        says = {"member": RINGELAI} | ({"name": "x"} if kind == "member-changed" else {})
        alarm = bus.say(kind, says, bus.root)
        assert alarm is not None
        assert "has left" in alarm.sentence
    alarm = bus.attest(f"{RINGELAI}.gewerbe", RINGELAI)
    assert alarm is not None
    assert alarm.reason == "not-entitled"


def test_a_member_whose_association_has_left_can_still_be_changed(bus: Parties) -> None:
    assert bus.admit(ILZER_LAND) is None
    belongs = {"value": ILZER_LAND, "from": "2026-01-01"}
    assert bus.say("member-changed", {"member": RINGELAI, "association": belongs}, bus.root) is None
    assert bus.say("member-left", {"member": ILZER_LAND}, bus.root) is None
    assert bus.say("member-changed", of_change(bus), bus.root) is None
    again = {"member": PERLESREUT, "association": belongs}
    alarm = bus.say("member-changed", again, bus.root)
    assert alarm is not None
    assert alarm.reason == "unknown"


def test_a_key_by_the_root_alone_is_an_alarm_that_has_effect(bus: Parties) -> None:
    assert bus.say("key", of_new_key(bus), bus.root) is None
    (alarm,) = bus.ledger.alarms
    assert (alarm.reason, alarm.has_effect) == (BY_ROOT, True)
    assert RINGELAI in alarm.sentence
    assert bus.ledger.standing.keys[bus.key("new").key_id].by_root


def test_a_root_is_followed_by_another(bus: Parties) -> None:
    new = bus.key("new")
    assert bus.say("root", of_new_root(bus), bus.root, new) is None
    assert not bus.ledger.standing.counts(bus.root.key_id, bus.at)
    alarm = bus.say("member-suspended", {"member": RINGELAI}, bus.root)
    assert alarm is not None
    assert alarm.reason == "not-entitled"
    assert bus.say("member-suspended", {"member": RINGELAI}, new) is None


def test_nobody_revokes_a_root_key(bus: Parties) -> None:
    alarm = bus.say("key-revoked", {"key": bus.root.key_id}, bus.root)
    assert alarm is not None
    assert alarm.reason == "not-entitled"


def test_a_retired_system_is_not_attested_again(bus: Parties) -> None:
    assert bus.say("system-retired", {"system": MELDEWESEN}, bus.key(RINGELAI)) is None
    said = {"system": MELDEWESEN, "key": bus.new_key(bus.key("new"))}
    alarm = bus.say("system", said, bus.key(RINGELAI))
    assert alarm is not None
    assert "never given again" in alarm.sentence


def test_judging_changes_nothing(bus: Parties) -> None:
    good = bus.compose("member-suspended", {"member": RINGELAI}, bus.root)
    bad = bus.compose("member-suspended", {"member": RINGELAI}, STRANGER)
    bus.ledger.judge(good, bus.now)
    with pytest.raises(StatementRefused, match="root's key"):
        bus.ledger.judge(bad, bus.now)
    assert bus.ledger.alarms == []
    assert bus.ledger.standing.members[RINGELAI].phase == "active"
    assert bus.ledger.alarm_at(bus.append(good.body())) is None


def test_the_ids_of_members_decide_their_codes() -> None:
    assert all(member.endswith(code) for member, code in OFFICIAL.items())
