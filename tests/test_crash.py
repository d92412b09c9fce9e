"""kill -9 of the node in the middle of the demo's stream, twenty times."""

from pathlib import Path

import pytest

from ops.torture.kill import kill_campaign

SEED = 20261121


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_nothing_acknowledged_is_lost_and_nothing_is_applied_twice(tmp_path: Path) -> None:
    outcome = await kill_campaign(tmp_path, kills=20, seed=SEED)
    assert outcome.kills == 20
    assert outcome.acknowledged > 0
    assert outcome.lost == 0
    assert outcome.applied == outcome.expected > 0
