"""Members of a group come and go: each event reaches it, and its positions never go back."""

from pathlib import Path

import pytest

from ops.torture.broker.churn import SETTLED, churn


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_members_are_killed_and_added_while_events_flow(tmp_path: Path, seed: int) -> None:
    outcome = await churn(tmp_path, seed, events=20_000, seconds=10.0)
    assert not outcome.breaches
    assert outcome.changes >= 4
    assert outcome.settled < SETTLED
