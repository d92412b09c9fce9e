"""Who would lose what by a schema, by the live grants: for who checks or registers it."""

import time
from dataclasses import replace

from bus.contracts import Contract
from bus.errors import InvalidContract
from bus.registry import rules
from bus.registry.rules import Candidate
from bus.registry.state import State
from bus.trust.grants.book import Book
from bus.trust.grants.impact import differences, impact, sentence


class Impact:
    """Tells what recipients lose.

    Args:
        state: the schemas and contracts that are in force.
        grants: who gets what.
    """

    def __init__(self, state: State, grants: Book) -> None:
        self._state, self._grants = state, grants

    def of_schema(self, subject: str, new: Candidate) -> list[str]:
        """Return a sentence for each loss, if a schema became the newest of its subject."""
        topic = self._state.contract_of(subject)
        versions = self._state.versions(subject)
        contract = None if topic is None else self._contract(topic)
        if contract is None or not versions:
            return []
        newest = self._state.schema(versions[-1].id).source
        before = replace(contract, versions=(newest,))
        return self._losses(before, replace(contract, versions=(new.schema.source,)))

    def of_contract(self, after: Contract) -> list[str]:
        """Return a sentence for each loss, if a contract took the place of the one in force."""
        before = self._contract(after.topic)
        return [] if before is None else self._losses(before, after)

    def _contract(self, topic: str) -> Contract | None:
        """Return a contract in force that can be read by the rules of now."""
        if self._state.contract(topic) is None:
            return None
        try:
            return Contract.from_json(rules.described(self._state, topic), topic)
        except InvalidContract:  # put in force by a version with other rules
            return None

    def _losses(self, before: Contract, after: Contract) -> list[str]:
        if before.access != "restricted" or not (changes := differences(before, after)):
            return []
        grants = self._grants.approved(before.topic)
        now_ms = int(time.time() * 1000)
        return [sentence(loss, "en") for loss in impact(grants, changes, after, now_ms)]
