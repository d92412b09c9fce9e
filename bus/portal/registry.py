"""The registry of this process, asked like one that is elsewhere."""

import json
from typing import Any

from bus.contracts import Contract
from bus.errors import NotFound
from bus.registry import rules
from bus.registry.state import State


class LocalRegistry:
    """Contracts and schemas from the registry's state.

    Args:
        state: what the registry of this process knows.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    async def contracts(self) -> list[str]:
        """Return the topics of all contracts in force."""
        return self._state.topics

    async def contract(self, topic: str) -> Contract:
        """Return the contract in force for a topic.

        Raises:
            NotFound: there is none.
            InvalidContract: it was put in force by a version with other rules.
        """
        if self._state.contract(topic) is None:
            raise NotFound("there is no contract for this topic", where=topic)
        return Contract.from_json(rules.described(self._state, topic), topic)

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        """Return a schema if it is registered for a topic's values.

        Raises:
            NotFound: it is not.
        """
        text = self._state.text(schema_id)
        subjects = {subject for subject, _ in self._state.places(schema_id)}
        if text is None or f"{topic}-value" not in subjects:
            raise NotFound(f"schema {schema_id} is none of this topic's", where=topic)
        return json.loads(text)
