"""Whoever signs what: nothing takes effect that its rightful signer did not sign.

The model knows whose key is whose by the names of keys alone, and nothing of statements.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.trust.keys import public_text
from tests.trust.parties import Parties, signer

MEMBERS = ("de.util.strom", "de.util.wasser")
SYSTEMS = tuple(f"{member}.{name}" for member in MEMBERS for name in ("a", "b"))
POOL = "rstuvwxy"
"""Keys, one letter each, which anybody may have for anything."""

KEYS = {letter: signer(1000 + ord(letter)) for letter in POOL}


@dataclass
class Model:
    """Whose keys are whose."""

    root: str = ""
    members: dict[str, set[str]] = field(default_factory=dict)
    systems: dict[str, set[str]] = field(default_factory=dict)
    suspended: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    retired: set[str] = field(default_factory=set)

    def keys_of(self, member: str) -> set[str]:
        """The keys that a member may sign with now."""
        if member in self.suspended | self.left:
            return set()
        return self.members.get(member, set())

    def is_rightful(self, kind: str, name: str, key: str, by: frozenset[str]) -> bool:
        """Whether those who signed may say this."""
        if kind == "root":
            return key in by and (not self.root or self.root in by)
        member = ".".join(name.split(".")[:3])
        own = bool(self.keys_of(member) & by)
        match kind:
            case "member" | "member-suspended" | "member-resumed":
                return self.root in by
            case "member-left" | "system-retired":
                return self.root in by or own
            case "key":
                return self.root in by or (own and key in by)
            case "system":
                return own
        owner = next((one for one, keys in self.members.items() if key in keys), None)
        system = next((one for one, keys in self.systems.items() if key in keys), None)
        if system is not None:
            owner = ".".join(system.split(".")[:3])
        return self.root in by or key in by or bool(self.keys_of(owner or "") & by)

    def take(self, kind: str, name: str, key: str) -> None:
        """Remember what took effect."""
        match kind:
            case "root":
                self.root = key
            case "member" | "key":
                self.members.setdefault(name, set()).add(key)
            case "member-suspended":
                self.suspended.add(name)
            case "member-resumed":
                self.suspended.discard(name)
            case "member-left":
                self.left.add(name)
            case "system":
                self.systems.setdefault(name, set()).add(key)
            case "system-retired":
                self.retired.add(name)
            case "key-revoked":
                for keys in (*self.members.values(), *self.systems.values()):
                    keys.discard(key)


def says(bus: Parties, kind: str, name: str, key: str) -> dict[str, Any]:
    new_key = bus.new_key(KEYS[key])
    match kind:
        case "root":
            return {"public": public_text(KEYS[key].public)}
        case "member":
            offices = {"contact": "a@b.example", "privacy": "c@b.example"}
            return {"member": name, "name": name, "key": new_key, **offices}
        case "key":
            return {"member": name, "key": new_key}
        case "system":
            return {"system": name, "key": new_key}
        case "system-retired":
            return {"system": name}
        case "key-revoked":
            return {"key": KEYS[key].key_id}
    return {"member": name}


OF_MEMBERS = ("member", "member-suspended", "member-resumed", "member-left", "key", "key-revoked")
KIND_AND_NAME = st.one_of(
    st.tuples(st.just("root"), st.just("")),
    st.tuples(st.sampled_from(OF_MEMBERS), st.sampled_from(MEMBERS)),
    st.tuples(st.sampled_from(("system", "system-retired")), st.sampled_from(SYSTEMS)),
)
STEPS = st.lists(
    st.tuples(
        KIND_AND_NAME,
        st.sampled_from(POOL),
        st.frozensets(st.sampled_from(POOL), max_size=4),
        st.booleans(),
    ),
    min_size=5,
    max_size=40,
)


@given(STEPS, st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_nothing_takes_effect_that_its_rightful_signer_did_not_sign(
    steps: list[tuple[tuple[str, str], str, frozenset[str], bool]], tampered: int
) -> None:
    bus, model, effects = Parties(), Model(), 0
    begun = [(("root", ""), "r", frozenset("r"), False)]
    admitted = [
        (("member", member), key, frozenset("r"), False)
        for member, key in zip(MEMBERS, "st", strict=True)
    ]
    for number, ((kind, name), key, by, helped) in enumerate(begun + admitted + steps):
        # By chance alone the right ones seldom sign, so that often they are helped.
        who = by | {model.root, key} - {""} if helped else by
        standing = bus.ledger.standing
        before = (dict(standing.members), dict(standing.systems), dict(standing.keys))
        body = bus.compose(kind, says(bus, kind, name, key), *(KEYS[one] for one in who)).body()
        wrong = number > 2 and number % 10 == tampered
        if wrong:
            body["text"] = _altered(body["text"])
        alarm = bus.ledger.alarm_at(bus.append(body))
        if alarm is None:
            assert not wrong
            assert model.is_rightful(kind, name, key, who)
            model.take(kind, name, key)
            effects += 1
        else:
            after = (standing.members, standing.systems, standing.keys)
            assert before == after
    assert effects >= len(begun + admitted)


def _altered(text: str) -> str:
    """Return a text of good form that is not what was signed: another nonce."""
    before, mark, after = text.partition('"nonce":"')
    return before + mark + ("1" if after[0] == "0" else "0") + after[1:]
