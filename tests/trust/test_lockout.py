"""Who is locked out, by the ledger."""

from bus.trust.lockout import KINDS, denials, lock_of, locks
from tests.trust.parties import OFFICE, PERLESREUT, RINGELAI, town

MELDEWESEN = f"{RINGELAI}.meldewesen"


def test_the_ledger_says_who_is_locked_out() -> None:
    bus = town()
    assert bus.attest(f"{PERLESREUT}.gewerbe", PERLESREUT) is None
    assert bus.attest(f"{OFFICE}.bericht", OFFICE) is None
    standing, begun = bus.ledger.standing, bus.at
    assert locks(standing, begun) == {}
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    assert bus.say("system-retired", {"system": f"{OFFICE}.bericht"}, bus.key(OFFICE)) is None
    assert bus.say("member-left", {"member": PERLESREUT}, bus.root) is None
    wanted = {MELDEWESEN: "denied", f"{PERLESREUT}.gewerbe": "gone", f"{OFFICE}.bericht": "gone"}
    assert locks(standing, bus.at) == wanted
    assert locks(standing, begun) == {}
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    assert lock_of(standing, MELDEWESEN, bus.at) is None
    assert lock_of(standing, "admin", bus.at) is None


def test_a_denial_is_of_everything() -> None:
    rules = denials(MELDEWESEN)
    assert [rule.kind for rule in rules] == list(KINDS)
    assert all(rule.operation == "All" and not rule.allow for rule in rules)
