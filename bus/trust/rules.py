"""Who has to sign which statement, and when it is possible: pure decisions over a standing.

A rule returns the records that the statement leaves; it raises where the statement has no effect.
Who signed is always looked at first, so that a refusal for another reason says: this was signed by
who may sign it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from bus.errors import nearest
from bus.event import member_of
from bus.trust.case import DATES, IN_USE, STATE, UNKNOWN, Case
from bus.trust.records import ROOT, Key, Mandate, Member, Phase, Record, Since, System
from bus.trust.says import (
    Admission,
    ArsFrom,
    AssociationFrom,
    Attestation,
    Change,
    FourEyes,
    MandateEnded,
    MemberKey,
    NewKey,
    OfMember,
    Publishing,
    Retirement,
    Revocation,
    Root,
    form_of,
)
from bus.trust.says import Mandate as NewMandate
from bus.trust.signer import key_id_of

Records = tuple[Record, ...]


def _root(case: Case) -> Records:
    said, before = form_of(case.statement, Root), case.standing.root
    if not case.statement.is_signed_by(said.public):
        raise case.not_entitled("the new root key itself")
    if before is not None:
        case.require_root()
    key_id = key_id_of(said.public)
    _refuse_known_key(case, key_id)
    new = Key(
        id=key_id, public=said.public, owner=ROOT, since=case.at, until=None, entry=case.number
    )
    return (new,) if before is None else (replace(before, revoked=case.at), new)


def _admission(case: Case) -> Records:
    said = form_of(case.statement, Admission)
    case.require_root()
    if said.member in case.standing.members:
        case.refuse(STATE, f"{said.member} was admitted before; an id is never given again")
    _check_code(case, said)
    key = _key(case, said.key, said.member)
    member = Member(
        id=said.member,
        name=said.name,
        contact=said.contact,
        privacy=said.privacy,
        ars=_later(case, (), said.ars),
        association=_later(case, (), said.association),
        phases=((case.at, "active"),),
        keys=(key.id,),
        entry=case.number,
    )
    _refuse_held_code(case, member)
    _refuse_no_association(case, said.association)
    return (key, member)


def _check_code(case: Case, said: Admission) -> None:
    """Hold a German municipality's id to the official code that it has when it joins."""
    country, member_class, code = said.member.split(".")
    if (country, member_class) != ("de", "mun"):
        return
    if said.ars is None or said.ars.value != code:
        case.refuse(
            STATE,
            f"{said.member} has to join with the official code that its id names",
            remedy=f"give it ars {code}, or the id of the code that it has",
        )


def _change(case: Case) -> Records:
    said = form_of(case.statement, Change)
    case.require_root()
    member = _there(case, said.member)
    changed = replace(
        member,
        name=said.name or member.name,
        contact=said.contact or member.contact,
        privacy=said.privacy or member.privacy,
        ars=_later(case, member.ars, said.ars),
        association=_later(case, member.association, said.association),
    )
    _refuse_held_code(case, changed)
    _refuse_no_association(case, said.association)
    return (changed,)


def _phase(wanted: Phase, *before: Phase) -> Callable[[Case], Records]:
    def rule(case: Case) -> Records:
        said = form_of(case.statement, OfMember)
        if wanted == "left":
            case.require_member(said.member, or_root=True)
        else:
            case.require_root()
        member = _there(case, said.member)
        if member.phase not in before:
            case.refuse(STATE, f"{member.id} is {member.phase} already")
        return (replace(member, phases=(*member.phases, (case.at, wanted))),)

    return rule


def _member_key(case: Case) -> Records:
    said = form_of(case.statement, MemberKey)
    own = case.is_signed_by(said.member) and case.statement.is_signed_by(said.key.public)
    if not own and not case.is_signed_by_root():
        whom = f"a key of {said.member} that counts now and the new key, nor the root's"
        raise case.not_entitled(whom)
    member = _there(case, said.member)
    key = replace(_key(case, said.key, member.id), by_root=not own)
    return (key, replace(member, keys=(*member.keys, key.id)))


def _revocation(case: Case) -> Records:
    said = form_of(case.statement, Revocation)
    key = case.standing.key(said.key)
    if key is None:
        case.refuse(UNKNOWN, f"there is no key {said.key}", remedy="see `stadtbus member show`")
    if key.owner == ROOT:
        raise case.not_entitled("anybody: a root key ends when another one takes its place")
    by_itself = case.standing.counts(key.id, case.at) and case.statement.is_signed_by(key.public)
    if not by_itself:
        case.require_member(member_of(key.owner) or key.owner, or_root=True)
    since = max(case.at, said.since or 0)
    if key.revoked is not None and key.revoked <= since:
        case.refuse(STATE, f"the key {key.id} is revoked already")
    return (replace(key, revoked=since),)


def _attestation(case: Case) -> Records:
    said = form_of(case.statement, Attestation)
    owner = member_of(said.system)
    if owner is None:
        raise AssertionError(f"{said.system} has the form of a system's id")
    case.require_member(owner)
    before = case.standing.systems.get(said.system)
    if before is not None and before.retired is not None:
        case.refuse(STATE, f"{said.system} is retired; an id is never given again")
    key = _key(case, said.key, said.system)
    if before is None:
        new = System(id=said.system, member=owner, keys=(key.id,), entry=case.number)
        return (key, new)
    return (key, replace(before, keys=(*before.keys, key.id)))


def _publishing(case: Case) -> Records:
    said = form_of(case.statement, Publishing)
    case.require_member(member_of(said.system) or said.system)
    return (replace(_in_use(case, said.system), publishes=tuple(sorted(said.topics))),)


def _retirement(case: Case) -> Records:
    said = form_of(case.statement, Retirement)
    case.require_member(member_of(said.system) or said.system, or_root=True)
    return (replace(_in_use(case, said.system), retired=case.at),)


def _mandate(case: Case) -> Records:
    said = form_of(case.statement, NewMandate)
    case.require_root()
    member = _there(case, said.member)
    if any(one.ars == said.ars for one in member.mandates):
        case.refuse(STATE, f"{member.id} decides for all under {said.ars} already")
    return (replace(member, mandates=(*member.mandates, Mandate(said.ars, said.norm))),)


def _mandate_ended(case: Case) -> Records:
    said = form_of(case.statement, MandateEnded)
    case.require_member(said.member, or_root=True)
    member = _there(case, said.member)
    left = tuple(one for one in member.mandates if one.ars != said.ars)
    if left == member.mandates:
        case.refuse(UNKNOWN, f"{member.id} has no mandate for all under {said.ars}")
    return (replace(member, mandates=left),)


def _four_eyes(case: Case) -> Records:
    said = form_of(case.statement, FourEyes)
    signed = case.signers(said.member)
    if not signed:
        case.require_member(said.member)
    member = _there(case, said.member)
    if member.four_eyes == said.wanted:
        case.refuse(STATE, f"it is so already for {member.id}")
    keys = len(case.standing.signers_of(member.id, case.at)) if said.wanted else len(signed)
    if keys < 2:
        case.refuse(
            STATE,
            f"{member.id} has one key that counts, and could approve nothing"
            if said.wanted
            else "what two have to approve, one does not change",
            remedy="`stadtbus key rotate` gives it another one"
            if said.wanted
            else "sign with two of the member's keys",
        )
    return (replace(member, four_eyes=said.wanted),)


RULES: Mapping[str, Callable[[Case], Records]] = MappingProxyType(
    {
        "root": _root,
        "member": _admission,
        "member-changed": _change,
        "member-suspended": _phase("suspended", "active"),
        "member-resumed": _phase("active", "suspended"),
        "member-left": _phase("left", "active", "suspended"),
        "key": _member_key,
        "key-revoked": _revocation,
        "system": _attestation,
        "system-publishes": _publishing,
        "system-retired": _retirement,
        "mandate": _mandate,
        "mandate-ended": _mandate_ended,
        "four-eyes": _four_eyes,
    }
)
"""The kinds of statements that there are."""


def judged(case: Case) -> Records:
    """Return the records that a statement leaves.

    Raises:
        InvalidStatement: it is not of its kind's form.
        StatementRefused: it has no effect.
    """
    kind = case.statement.kind
    if kind not in RULES:
        case.refuse(
            UNKNOWN,
            f"there is no kind {kind} of statements",
            remedy=nearest(kind, list(RULES)),
        )
    if kind != "root" and case.standing.root is None:
        case.refuse(STATE, "there is no root yet", remedy="`stadtbus trust begin` names one")
    return RULES[kind](case)


def _key(case: Case, said: NewKey, owner: str) -> Key:
    key_id = key_id_of(said.public)
    _refuse_known_key(case, key_id)
    if said.until <= case.at:
        case.refuse(DATES, "the key's last day is over", remedy="give it a later one")
    return Key(
        id=key_id,
        public=said.public,
        owner=owner,
        since=max(said.since, case.at),
        until=said.until,
        entry=case.number,
    )


def _refuse_known_key(case: Case, key_id: str) -> None:
    if (known := case.standing.key(key_id)) is not None:
        case.refuse(
            IN_USE,
            f"the key {key_id} is that of {known.owner}, and a key is never used twice",
            remedy="`stadtbus key new` makes another one",
        )


def _there(case: Case, name: str) -> Member:
    """Return a member that has not left."""
    member = case.standing.members.get(name)
    if member is None:
        case.refuse(
            UNKNOWN,
            f"there is no member {name}",
            remedy="see `stadtbus member ls`",
        )
    if member.phase == "left":
        case.refuse(STATE, f"{name} has left, and an id is never given again")
    return member


def _in_use(case: Case, name: str) -> System:
    """Return a system that is not retired."""
    system = case.standing.systems.get(name)
    if system is None:
        case.refuse(UNKNOWN, f"there is no system {name}", remedy="see `system ls`")
    if system.retired is not None:
        case.refuse(STATE, f"{name} is retired already")
    return system


def _later(
    case: Case, before: tuple[Since, ...], said: ArsFrom | AssociationFrom | None
) -> tuple[Since, ...]:
    """Return dated values with a further one, which does not change what was."""
    if said is None:
        return before
    if before and said.day <= before[-1].day:
        case.refuse(
            DATES,
            f"holds from {said.day.isoformat()}, but what it follows from {before[-1].day}",
            remedy="what was is not changed: give a later day",
        )
    return (*before, Since(said.value, said.day))


def _refuse_held_code(case: Case, member: Member) -> None:
    """Refuse an official code that another member has on one of the same days."""
    for ars, begin, end in member.held():
        for other, theirs, until in case.standing.holders(ars):
            if other.id != member.id and theirs < end and begin < until:
                case.refuse(
                    IN_USE,
                    f"{other.id} has the official code {ars} from {theirs.isoformat()} on",
                    remedy="end it there first: `stadtbus member change` or `member leave`",
                )


def _refuse_no_association(case: Case, said: AssociationFrom | None) -> None:
    if said is None or said.value is None:
        return
    found = case.standing.members.get(said.value)
    if found is None or found.member_class != "assoc" or found.phase == "left":
        case.refuse(
            UNKNOWN,
            f"there is no association {said.value} among the members",
            remedy="admit it first; its class is assoc",
        )
