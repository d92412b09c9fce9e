"""From statements to grants: a fold over what members signed, in the journal's order. Pure.

Asked for by the recipient; approved, refused, later revoked by the owner; withdrawn or given up by
the recipient. A decision names the digest of the request, so it is about exactly those terms. What
does not follow these rules is void, with the reason, and has no effect.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bus.errors import InvalidGrant
from bus.trust.grants.grant import ID_BYTES, State, grant_id
from bus.trust.grants.holdings import Holdings, core_of
from bus.trust.grants.parties import Standing, Verified
from bus.trust.grants.terms import Terms

ASKED, APPROVED, REFUSED = "grant-asked", "grant-approved", "grant-refused"
WITHDRAWN, REVOKED, ENDED = "grant-withdrawn", "grant-revoked", "grant-ended"
KINDS = frozenset({ASKED, APPROVED, REFUSED, WITHDRAWN, REVOKED, ENDED})

MAX_REASON = 1000
"""Characters of why something was decided."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Reason(StrEnum):
    """Why a statement about a grant is void."""

    MALFORMED = "malformed"
    REPEATED = "repeated"
    UNKNOWN_GRANT = "unknown-grant"
    WRONG_MEMBER = "wrong-member"
    NOT_ENTITLED = "not-entitled"
    NOT_REQUESTED = "not-requested"
    NOT_APPROVED = "not-approved"
    SAME_KEY = "same-key"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Void:
    """A statement that has no effect: the reason as a word for counting, and as a sentence."""

    reason: Reason
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a statement did.

    Args:
        grant: the number of the grant among the holdings.
        state: what has become of it.
        terms: what was asked for; None on later steps.
    """

    grant: int
    state: State
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class _Move:
    """A step of a grant that is there: from which state to which, and whose it is."""

    before: State
    after: State
    by_owner: bool


_MOVES: Mapping[str, _Move] = {
    APPROVED: _Move(State.REQUESTED, State.APPROVED, by_owner=True),
    REFUSED: _Move(State.REQUESTED, State.REFUSED, by_owner=True),
    WITHDRAWN: _Move(State.REQUESTED, State.WITHDRAWN, by_owner=False),
    REVOKED: _Move(State.APPROVED, State.REVOKED, by_owner=True),
    ENDED: _Move(State.APPROVED, State.ENDED, by_owner=False),
}


class Granting:
    """Judges statements about grants, one after the other.

    Args:
        standing: who is who, as far as the journal was read; asked at each statement.
        holdings: where the grants are kept.
    """

    def __init__(self, standing: Standing, holdings: Holdings) -> None:
        self._standing, self._holdings = standing, holdings
        self._signed: dict[int, frozenset[str]] = {}

    def objection(self, statement: Verified) -> Void | None:
        """Return why a statement of one of `KINDS` would have no effect now; None if it would."""
        judged = self._judged(statement)
        return judged if isinstance(judged, Void) else None

    def apply(self, statement: Verified) -> Step | Void:
        """Let a statement of one of `KINDS` take effect, or say why it has none."""
        match self._judged(statement):
            case Void() as void:
                return void
            case Terms() as terms:
                number = self._holdings.add(grant_id(statement.digest), core_of(terms))
                return Step(grant=number, state=State.REQUESTED, terms=terms)
            case int(number):
                return self._move(number, statement)

    def signed(self, number: int) -> frozenset[str]:
        """Return the keys that have approved a grant that waits for a second one."""
        return self._signed.get(number, frozenset())

    def restore(self, number: int, keys: Iterable[str]) -> None:
        """Put back which keys have approved a grant that waits for a second one."""
        self._signed[number] = frozenset(keys)

    def _judged(self, statement: Verified) -> Void | Terms | int:
        """Return what is asked for, or the grant that a step can be taken with, or why not."""
        return self._asked(statement) if statement.kind == ASKED else self._step(statement)

    def _asked(self, statement: Verified) -> Void | Terms:
        try:
            terms = Terms.from_json(statement.body)
        except InvalidGrant as error:
            return Void(Reason.MALFORMED, str(error))
        if statement.issuer != terms.recipient:
            return Void(
                Reason.WRONG_MEMBER, f"{statement.issuer} asks for {terms.recipient}, not itself"
            )
        name = grant_id(statement.digest)
        if self._holdings.find(name) is not None:
            return Void(Reason.REPEATED, f"the grant {name.hex()} was asked for already")
        return terms

    def _step(self, statement: Verified) -> Void | int:
        number = self._named(statement)
        if isinstance(number, Void):
            return number
        return self._objection(_MOVES[statement.kind], number, statement) or number

    def _move(self, number: int, statement: Verified) -> Step:
        after = _MOVES[statement.kind].after
        if self._is_one_of_two(number, after) and len(self.signed(number) | statement.keys) < 2:
            self._signed[number] = statement.keys
            return Step(grant=number, state=State.REQUESTED)
        self._signed.pop(number, None)
        self._holdings.become(number, after)
        return Step(grant=number, state=after)

    def _is_one_of_two(self, number: int, after: State) -> bool:
        """Whether a step needs two keys of the owner."""
        owner = self._holdings.core(number).owner.member
        return after is State.APPROVED and self._standing.needs_four_eyes(owner)

    def _named(self, statement: Verified) -> int | Void:
        """Return the grant that a decision is about."""
        match statement.body:
            case {"grant": str(digest), **rest} if _DIGEST.fullmatch(digest) and _is_why(rest):
                number = self._holdings.find(grant_id(bytes.fromhex(digest)))
                what = f"nobody asked for the grant {digest[: 2 * ID_BYTES]}"
                return Void(Reason.UNKNOWN_GRANT, what) if number is None else number
        return Void(Reason.MALFORMED, 'does not say {"grant": "<digest of the request>"}, or more')

    def _objection(self, move: _Move, number: int, statement: Verified) -> Void | None:
        """Return why a step of a grant cannot be taken by whom or when it is."""
        core = self._holdings.core(number)
        owner = core.owner
        whose = owner.member if move.by_owner else core.recipient
        if statement.issuer != whose:
            return Void(
                Reason.WRONG_MEMBER, f"this is for {whose} to say, not for {statement.issuer}"
            )
        if (state := self._holdings.state(number)) is not move.before:
            waiting = move.before is State.REQUESTED
            return Void(
                Reason.NOT_REQUESTED if waiting else Reason.NOT_APPROVED,
                f"the grant is {state.word}, not {move.before.word}",
            )
        if statement.at_ms >= core.until:
            return Void(Reason.OVER, "the time that was asked for is over")
        signed = self.signed(number)
        if self._is_one_of_two(number, move.after) and signed and statement.keys <= signed:
            return Void(Reason.SAME_KEY, f"{owner.member} wants a second key to approve, too")
        if (
            move.after is State.APPROVED
            and owner.ars
            and not self._standing.may_decide_for(owner.member, owner.ars)
        ):
            return Void(
                Reason.NOT_ENTITLED,
                f"{owner.member} is not entitled to decide for all under {owner.ars}",
            )
        return None


def _is_why(rest: Mapping[str, object]) -> bool:
    """Whether a decision says nothing beyond the grant but, if it likes, its reason."""
    why = rest.get("why", "")
    return rest.keys() <= {"why"} and isinstance(why, str) and len(why) <= MAX_REASON
