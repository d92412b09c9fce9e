"""How often events are expected, as the contracts in force say."""

from typing import NamedTuple

from bus.contracts import duration
from bus.registry.state import EXPECTED, State


class Expected(NamedTuple):
    """How often an event is expected on a topic at the least.

    Args:
        interval: seconds.
        since: when that came in force, in seconds since 1970.
    """

    interval: float
    since: float


def expected_intervals(state: State) -> dict[str, Expected]:
    """Return in what interval an event is expected at the least, by topic.

    A contract that does not say so, or says it in a way that this version cannot read, is left out.

    Args:
        state: what the registry knows.
    """
    found = {}
    for topic in state.topics:
        contract = state.contract(topic) or {}
        if isinstance(text := contract.get(EXPECTED), str):
            try:
                interval = duration(text).total_seconds()
            except ValueError:
                continue
            found[topic] = Expected(interval, state.expected_since(topic))
    return found
