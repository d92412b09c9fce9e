"""How often events are expected, as the contracts in force say."""

from bus.contracts import duration
from bus.registry.state import State


def expected_intervals(state: State) -> dict[str, float]:
    """Return in how many seconds an event is expected at the least, by topic.

    A contract that does not say so, or says it in a way that this version cannot read, is left out.

    Args:
        state: what the registry knows.
    """
    found = {}
    for topic in state.topics:
        contract = state.contract(topic) or {}
        if isinstance(text := contract.get("expected_interval"), str):
            try:
                found[topic] = duration(text).total_seconds()
            except ValueError:
                continue
    return found
