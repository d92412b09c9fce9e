"""Grants in the ledger: who has to sign which step, and what flows then."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bus.errors import StatementRefused
from bus.trust.grants.grant import State
from bus.trust.keys import FileSigner
from bus.trust.ledger import Alarm
from tests.trust.grants.parties import TERMS, TOPIC
from tests.trust.parties import OFFICE, PERLESREUT, RINGELAI, signer, town

STATE = "de.state.09"
VALUES = {"cause": "MOVE", "municipality": "092720140140"}
SECOND = signer(7)


class Bus:
    """A town, and the steps of a grant that its office asks for."""

    def __init__(self, **terms: Any) -> None:
        self.parties = town()
        assert self.parties.admit(STATE) is None
        self.terms: Mapping[str, Any] = {
            **TERMS,
            "owner": {"member": RINGELAI},
            "recipient": OFFICE,
            **terms,
        }
        self.digest = ""

    def ask(self, by: str = OFFICE) -> Alarm | None:
        statement = self.parties.compose("grant-asked", self.terms, self.parties.key(by))
        self.digest = statement.digest.hex()
        number = self.parties.append(statement.body())
        return self.parties.ledger.alarm_at(number)

    def step(self, kind: str, *signers: FileSigner, **more: str) -> Alarm | None:
        return self.parties.say(kind, {"grant": self.digest, **more}, *signers)

    def approve(self, *signers: FileSigner) -> Alarm | None:
        return self.step("grant-approved", *(signers or (self.key(RINGELAI),)))

    def key(self, name: str) -> FileSigner:
        return self.parties.key(name)

    def second_key(self) -> FileSigner:
        """Give the municipality a second key."""
        said = {"member": RINGELAI, "key": self.parties.new_key(SECOND)}
        assert self.parties.say("key", said, self.key(RINGELAI), SECOND) is None
        return SECOND

    @property
    def state(self) -> State:
        return self.parties.ledger.grants.holdings.state(0)

    @property
    def recipients(self) -> list[str]:
        """Who gets an event about the municipality's resident."""
        grants, at = self.parties.ledger.grants, self.parties.at
        found = grants.match(TOPIC, RINGELAI, "092720140140", VALUES, at)
        return [one.recipient for one in found]


@pytest.fixture
def bus() -> Bus:
    return Bus()


def reason(alarm: Alarm | None) -> str | None:
    return alarm.reason if alarm else None


def test_nothing_flows_before_the_owner_has_signed(bus: Bus) -> None:
    assert bus.ask() is None
    assert (bus.state, bus.recipients) == (State.REQUESTED, [])
    assert bus.approve() is None
    assert (bus.state, bus.recipients) == (State.APPROVED, [OFFICE])
    assert bus.step("grant-revoked", bus.key(RINGELAI), why="Nicht mehr nötig.") is None
    assert (bus.state, bus.recipients) == (State.REVOKED, [])
    assert bus.parties.ledger.alarms == []


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("grant-approved", OFFICE),
        ("grant-approved", PERLESREUT),
        ("grant-approved", f"{RINGELAI}.meldewesen"),
        ("grant-refused", OFFICE),
        ("grant-withdrawn", RINGELAI),
        ("grant-revoked", OFFICE),
        ("grant-ended", RINGELAI),
    ],
)
def test_a_step_of_somebody_else_has_no_effect(bus: Bus, kind: str, by: str) -> None:
    assert bus.ask() is None
    if kind in {"grant-revoked", "grant-ended"}:
        assert bus.approve() is None
    before = bus.state
    wanted = "not-entitled" if by.count(".") == 3 else "wrong-member"
    assert reason(bus.step(kind, bus.key(by))) == wanted
    assert bus.state is before


@pytest.mark.parametrize("who", ["the root", "a stranger", "nobody"])
def test_neither_root_nor_stranger_decides(bus: Bus, who: str) -> None:
    signers = {"the root": [bus.parties.root], "a stranger": [signer(98)], "nobody": []}[who]
    assert bus.ask() is None
    assert reason(bus.step("grant-approved", *signers)) == "not-entitled"
    assert bus.recipients == []


def test_whose_statement_it_is_has_to_be_clear(bus: Bus) -> None:
    assert bus.ask() is None
    both = bus.step("grant-approved", bus.key(RINGELAI), bus.key(OFFICE))
    assert reason(both) == "not-entitled"


def test_nobody_asks_for_another(bus: Bus) -> None:
    assert reason(bus.ask(by=PERLESREUT)) == "wrong-member"
    assert len(bus.parties.ledger.grants) == 0


def test_what_others_bring_first_does_not_use_up_what_the_owner_signs(bus: Bus) -> None:
    assert bus.ask() is None
    says = {"grant": bus.digest}
    approval = bus.parties.compose("grant-approved", says, bus.key(RINGELAI))
    forged = bus.parties.compose("grant-approved", says)
    forged = type(forged)(
        chain=approval.chain,
        kind=approval.kind,
        says=approval.says,
        issued=approval.issued,
        text=approval.text,
    ).signed(bus.key(OFFICE))
    assert forged.digest == approval.digest
    number = bus.parties.append(forged.body())
    assert reason(bus.parties.ledger.alarm_at(number)) == "wrong-member"
    number = bus.parties.append(approval.body())
    assert bus.parties.ledger.alarm_at(number) is None
    assert bus.recipients == [OFFICE]


def test_a_key_that_was_revoked_approves_nothing(bus: Bus) -> None:
    second = bus.second_key()
    old = bus.key(RINGELAI)
    assert bus.ask() is None
    assert bus.parties.say("key-revoked", {"key": old.key_id}, second) is None
    assert reason(bus.approve(old)) == "not-entitled"
    assert bus.approve(second) is None
    assert bus.recipients == [OFFICE]


def test_a_grant_of_a_suspended_member_rests(bus: Bus) -> None:
    assert bus.ask() is None
    assert bus.approve() is None
    for member in (OFFICE, RINGELAI):
        said = {"member": member}
        assert bus.parties.say("member-suspended", said, bus.parties.root) is None
        assert bus.recipients == []
        assert bus.parties.say("member-resumed", said, bus.parties.root) is None
        assert bus.recipients == [OFFICE]


def four_eyes(bus: Bus, *signers: FileSigner, wanted: bool = True) -> Alarm | None:
    return bus.parties.say("four-eyes", {"member": RINGELAI, "wanted": wanted}, *signers)


def test_four_eyes_need_two_keys_in_one_statement_or_in_two(bus: Bus) -> None:
    first, second = bus.key(RINGELAI), bus.second_key()
    assert four_eyes(bus, first) is None
    assert bus.ask() is None
    assert bus.approve(first) is None
    assert (bus.state, bus.recipients) == (State.REQUESTED, [])
    assert reason(bus.approve(first)) == "same-key"
    assert bus.approve(second) is None
    assert bus.recipients == [OFFICE]
    other = Bus()
    first, second = other.key(RINGELAI), other.second_key()
    assert four_eyes(other, first) is None
    assert other.ask() is None
    assert other.approve(first, second) is None
    assert other.recipients == [OFFICE]


def test_one_key_neither_begins_nor_ends_four_eyes_alone(bus: Bus) -> None:
    first = bus.key(RINGELAI)
    assert reason(four_eyes(bus, first)) == "state"
    second = bus.second_key()
    assert reason(four_eyes(bus, bus.key(OFFICE))) == "not-entitled"
    assert four_eyes(bus, first) is None
    assert reason(four_eyes(bus, first, wanted=False)) == "state"
    assert four_eyes(bus, first, second, wanted=False) is None


def test_an_authority_needs_a_mandate_of_the_root() -> None:
    bus = Bus(owner={"authority": STATE, "ars": "09272"})
    state, root = bus.key(STATE), bus.parties.root
    mandate = {"member": STATE, "ars": "09", "norm": "Art. 8 BayDiG"}
    assert bus.ask() is None
    assert reason(bus.approve(state)) == "not-entitled"
    assert reason(bus.parties.say("mandate", mandate, state)) == "not-entitled"
    assert bus.parties.say("mandate", mandate, root) is None
    assert reason(bus.parties.say("mandate", mandate, root)) == "state"
    assert bus.approve(state) is None
    assert bus.recipients == [OFFICE]
    ended = {"member": STATE, "ars": "09"}
    assert reason(bus.parties.say("mandate-ended", ended, bus.key(OFFICE))) == "not-entitled"
    assert bus.parties.say("mandate-ended", ended, root) is None
    assert bus.recipients == [], "what rests on no law any more does not flow"
    assert reason(bus.parties.say("mandate-ended", ended, root)) == "unknown"


@pytest.mark.parametrize("ars", ["", "0", "0927", "09272014014", "x9", 9, None])
def test_a_mandate_is_for_a_level_of_codes(bus: Bus, ars: object) -> None:
    said = {"member": STATE, "ars": ars, "norm": "Art. 8 BayDiG"}
    assert reason(bus.parties.say("mandate", said, bus.parties.root)) == "malformed"


def test_a_statement_can_be_judged_before_it_is_handed_in(bus: Bus) -> None:
    ledger, parties = bus.parties.ledger, bus.parties
    asking = parties.compose("grant-asked", bus.terms, bus.key(OFFICE))
    ledger.judge(asking, parties.now)
    assert len(ledger.grants) == 0, "it was only judged"
    bad = parties.compose("grant-asked", {**bus.terms, "purpose": "fun"}, bus.key(OFFICE))
    with pytest.raises(StatementRefused, match="purpose"):
        ledger.judge(bad, parties.now)
    assert bus.ask() is None
    approval = parties.compose("grant-approved", {"grant": bus.digest}, bus.key(RINGELAI))
    ledger.judge(approval, parties.now)
    assert bus.state is State.REQUESTED
    with pytest.raises(StatementRefused) as refused:
        ledger.judge(approval.signed(bus.key(OFFICE)), parties.now)
    assert refused.value.reason == "not-entitled"


def test_a_step_counts_once(bus: Bus) -> None:
    assert bus.ask() is None
    assert bus.approve() is None
    assert reason(bus.approve()) == "not-requested"
    assert reason(bus.step("grant-withdrawn", bus.key(OFFICE))) == "not-requested"
    assert bus.step("grant-ended", bus.key(OFFICE)) is None
    assert reason(bus.step("grant-revoked", bus.key(RINGELAI))) == "not-approved"


def test_what_was_asked_for_has_its_end(bus: Bus) -> None:
    assert bus.ask() is None
    bus.parties.now += timedelta(days=200)
    assert reason(bus.approve()) == "over"
