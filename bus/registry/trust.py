"""Who is who, as the registry keeps it: the ledger, and the entries that it was folded from."""

import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bus.errors import StatementRefused
from bus.journal import Entry
from bus.journal.chain import CHAIN
from bus.registry import refusals
from bus.registry.granting import check_grant
from bus.registry.rules import Write
from bus.registry.state import State, encode
from bus.trust.ledger import Ledger
from bus.trust.lockout import lock_of
from bus.trust.statements import ENTRY, Statement, read

PAGE_BYTES = 2**20
"""An answer with more entries than this ends, and the next one goes on."""


class Trust:
    """The ledger, and the entries as they are handed out so that anybody can fold it anew.

    Attributes:
        ledger: who is who.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._entries: list[Entry] = []

    def apply(self, entry: Entry) -> None:
        """Keep an entry that the ledger is made of, and let it take effect."""
        if entry.kind in (CHAIN, ENTRY):
            self._entries.append(entry)
            self.ledger.apply(entry)

    def is_locked_out(self, principal: str) -> bool:
        """Whether a principal (``User:name``) is a system that is retired, suspended or gone."""
        system = principal.removeprefix("User:")
        now = max(int(time.time() * 1000), self.ledger.at)
        return lock_of(self.ledger.standing, system, now) is not None

    def entries(self, after: int) -> tuple[list[Entry], bool]:
        """Return entries that follow a number, a page of them, and whether there are more."""
        start = bisect_right(self._entries, after, key=lambda entry: entry.number)
        end, size = start, 0
        while end < len(self._entries) and size < PAGE_BYTES:
            size += len(encode(self._entries[end].body))
            end += 1
        return self._entries[start:end], end < len(self._entries)

    def page(self, after: int) -> dict[str, Any]:
        """Return the same as JSON values."""
        entries, more = self.entries(after)
        found = [
            {
                "number": entry.number,
                "appended": entry.appended,
                "kind": entry.kind,
                "body": entry.body,
            }
            for entry in entries
        ]
        return {"chain": self.ledger.chain, "entries": found, "more": more}

    def decide(
        self, body: Mapping[str, Any], state: State, *, begins: bool
    ) -> Write[dict[str, Any]]:
        """Decide on a statement that somebody hands in.

        Args:
            body: the statement.
            state: the contracts in force.
            begins: it is handed in by who may name the first root.

        Raises:
            InvalidStatement: it cannot be read.
            StatementRefused: it would have no effect.
            InvalidGrant: it is about a grant that can give nothing.
            Refusal: 40302, it would name the first root, and who hands it in may not.
        """
        statement = read(body)
        self._refuse_stranger(statement, begins)
        self.ledger.judge(statement, datetime.now(UTC))
        check_grant(statement, self.ledger, state)
        return Write(ENTRY, statement.body(), lambda _: self._outcome(statement))

    def _refuse_stranger(self, statement: Statement, begins: bool) -> None:
        if statement.kind == "root" and self.ledger.standing.root is None and not begins:
            raise refusals.no_root_from_here()

    def _outcome(self, statement: Statement) -> dict[str, Any]:
        """Return where a statement that was written stands.

        Raises:
            StatementRefused: the engine's clock says otherwise than ours; it has no effect.
        """
        number = _last(self._entries, statement)
        if (alarm := self.ledger.alarm_at(number)) is not None:
            raise StatementRefused(
                alarm.sentence, reason=alarm.reason, where=f"entry {number} of the journal"
            )
        return {"number": number, "digest": statement.digest.hex()}


def _last(entries: Sequence[Entry], statement: Statement) -> int:
    for entry in reversed(entries):
        if entry.body == statement.body():
            return entry.number
    raise AssertionError("a statement that was written is not there")
