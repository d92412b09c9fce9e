"""Who is who, as a fold over the journal's entries: the order in which they stand decides. Pure.

An entry that does not verify has no effect, is kept by its number with the reason, and is an alarm:
the registry appends none, so whoever wrote it did so past the registry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bus.errors import BusError, InvalidStatement, StatementRefused
from bus.journal.chain import CHAIN, Entry
from bus.trust.case import DATES, NOT_ENTITLED, Case
from bus.trust.grants.book import Book
from bus.trust.grants.granting import KINDS, Step, Void
from bus.trust.grants.granting import Reason as Hindrance
from bus.trust.grants.parties import Verified
from bus.trust.records import Key
from bus.trust.rules import Records, judged
from bus.trust.standing import Standing
from bus.trust.statements import ENTRY, Statement, read

OTHER_BUS, REPEATED, MALFORMED = "other-bus", "repeated", "malformed"
BY_ROOT = "key-by-root"
"""The reason of an alarm that is no refusal: the root alone gave a member a key."""

_UNSPENT = (NOT_ENTITLED, Hindrance.WRONG_MEMBER, Hindrance.UNKNOWN_GRANT)
"""Reasons with which somebody who may not say it could use up what others are to sign."""

STALE = timedelta(days=7)
"""A statement that is handed in later than this after it was issued has no effect, so that nobody
keeps one back for a day on which it says something else."""

OnStep = Callable[[Verified, Step], None]

AHEAD = timedelta(minutes=15)
"""So far may an issuer's clock be ahead of the engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that everybody should see.

    Args:
        number: of the journal's entry.
        at: when the engine took it, in milliseconds since 1970.
        reason: a stable word for counting.
        sentence: for people.
        has_effect: False for an entry that does not count.
    """

    number: int
    at: int
    reason: str
    sentence: str
    has_effect: bool = False


class Ledger:
    """The standing that a journal's statements leave.

    Args:
        on_step: is told of each statement about a grant that has an effect, and what that was.

    Attributes:
        chain: the journal's id, known once its first entry was applied.
        standing: who is who, after the last entry.
        grants: who gets what of whose data, likewise.
        alarms: what everybody should see, oldest first.
        statements: how many entries carry a statement; those of the alarms that have no effect
            are among them.
    """

    def __init__(self, on_step: OnStep | None = None) -> None:
        self._on_step = on_step
        self.chain = ""
        self.standing = Standing()
        self.grants = Book(self.standing)
        self.alarms: list[Alarm] = []
        self.statements = 0
        self._spent: set[bytes] = set()
        self._at = 0

    def apply(self, entry: Entry) -> None:
        """Let an entry take effect if it is a statement that verifies."""
        if entry.number == 1 and entry.kind == CHAIN:
            self.chain = str(entry.body.get("id", ""))
        if entry.kind != ENTRY:
            return
        # Time does not run backwards in the chain, whatever clocks of brokers do.
        self._at = max(self._at, entry.appended)
        self.statements += 1
        try:
            statement = read(entry.body)
            judged = self._judged(statement, self._at, entry.number)
        except (InvalidStatement, StatementRefused) as error:
            self._note(entry.number, error)
            return
        self._spent.add(statement.digest)
        if isinstance(judged, Verified):
            step = self.grants.apply(judged)
            if self._on_step is not None and isinstance(step, Step):
                self._on_step(judged, step)
            return
        for record in judged:
            self.standing.put(record)
            if isinstance(record, Key) and record.by_root:
                self._alarm_of_root(record, entry.number)

    def judge(self, statement: Statement, now: datetime) -> None:
        """Return if a statement would have an effect as the journal's next entry.

        Args:
            statement: what somebody wants to hand in.
            now: the time, with a time zone.

        Raises:
            InvalidStatement: it is not of its kind's form.
            StatementRefused: it would have no effect; the reason.
        """
        self._judged(statement, max(self._at, int(now.timestamp() * 1000)), number=0)

    @property
    def at(self) -> int:
        """When the engine took the last statement, in milliseconds since 1970."""
        return self._at

    def alarm_at(self, number: int) -> Alarm | None:
        """Return why an entry has no effect; None if it has."""
        return next(
            (one for one in self.alarms if one.number == number and not one.has_effect), None
        )

    def _judged(self, statement: Statement, at: int, number: int) -> Records | Verified:
        where = statement.kind
        if statement.chain != self.chain:
            raise StatementRefused(
                "is meant for another bus: it names another journal",
                reason=OTHER_BUS,
                where=where,
                remedy="write and sign it anew for this one",
            )
        self._check_time(statement, at)
        if statement.digest in self._spent:
            raise StatementRefused(
                "was said before, and a statement counts once",
                reason=REPEATED,
                where=where,
                remedy="write and sign it anew if it is to be said again",
            )
        case = Case(statement, self.standing, at, number)
        try:
            return self._of_grant(case) if statement.kind in KINDS else judged(case)
        except StatementRefused as refusal:
            if number and refusal.reason not in _UNSPENT:
                # Who may say it has said it: brought again later, it must not take effect.
                self._spent.add(statement.digest)
            raise

    def _of_grant(self, case: Case) -> Verified:
        """Return a statement about a grant as the grants judge it, if it has an effect there."""
        statement = case.statement
        owners = {
            key.owner
            for signature in statement.signatures
            if (key := self.standing.key(signature.key_id)) is not None
            and key.owner in self.standing.members
            and case.is_signed_by(key.owner)
        }
        if len(owners) != 1:
            raise case.not_entitled("one member, with a key that counts now")
        (issuer,) = owners
        verified = Verified(
            kind=statement.kind,
            issuer=issuer,
            keys=frozenset(case.signers(issuer)),
            body=statement.says,
            digest=statement.digest,
            number=case.number,
            at_ms=case.at,
        )
        if isinstance(void := self.grants.objection(verified), Void):
            raise StatementRefused(void.what, reason=void.reason, where=statement.kind)
        return verified

    def _check_time(self, statement: Statement, at: int) -> None:
        late = datetime.fromtimestamp(at / 1000, UTC) - statement.issued
        if late > STALE:
            raise StatementRefused(
                f"was issued {late.days} days before it was handed in, and {STALE.days} may pass",
                reason=DATES,
                where=statement.kind,
                remedy="write and sign it anew",
            )
        if late < -AHEAD:
            raise StatementRefused(
                "is issued in the future",
                reason=DATES,
                where=statement.kind,
                remedy="set the clock of the machine that it is written on",
            )

    def _note(self, number: int, error: BusError) -> None:
        reason = error.reason if isinstance(error, StatementRefused) else MALFORMED
        self.alarms.append(Alarm(number=number, at=self._at, reason=reason, sentence=str(error)))

    def _alarm_of_root(self, key: Key, number: int) -> None:
        self.alarms.append(
            Alarm(
                number=number,
                at=self._at,
                reason=BY_ROOT,
                sentence=f"the root alone gave {key.owner} the key {key.id}: ask {key.owner} "
                "whether it is theirs",
                has_effect=True,
            )
        )


def entry_of(value: Mapping[str, Any]) -> Entry:
    """Return the entry that a registry hands out, with what the ledger needs of it.

    Raises:
        InvalidStatement: it is not of this form.
    """
    match value:
        case {
            "number": int(number),
            "appended": int(appended),
            "kind": str(kind),
            "body": dict(body),
        }:
            return Entry(number=number, digest="", kind=kind, body=body, at=0, appended=appended)
    raise InvalidStatement("is no entry of a journal", where="the registry's answer")
