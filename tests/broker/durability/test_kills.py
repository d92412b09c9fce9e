"""kill -9 at random moments: what was acknowledged is there, once, in place, and whole."""

from pathlib import Path

import pytest

from ops.torture.broker.kills import kills

CYCLES = 50


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_random_moments_it_keeps_all_promises(tmp_path: Path, seed: int) -> None:
    outcome = await kills(tmp_path, seed, CYCLES)
    assert not outcome.breaches
    assert outcome.kills == CYCLES
