"""Bits of a stopped broker's database flip: that is noticed, or harms nothing."""

from pathlib import Path

import pytest

from ops.torture.broker.flips import Verdict, flips

STOPPED, KILLED = 1000, 200


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_flipped_bit_is_never_served_as_good(tmp_path: Path, seed: int) -> None:
    outcome = await flips(tmp_path, seed, STOPPED)
    assert not outcome.breaches
    assert all(outcome.verdicts[one] for one in Verdict if one is not Verdict.SERVED)


@pytest.mark.slow
async def test_a_killed_brokers_log_is_never_served_with_a_flipped_bit(
    tmp_path: Path, seed: int
) -> None:
    outcome = await flips(tmp_path, seed, KILLED, killed=True)
    assert not outcome.breaches
