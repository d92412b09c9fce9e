"""Bits of a stopped broker's database flip: that is noticed, or harms nothing."""

from pathlib import Path

import pytest

from ops.torture.broker.flips import Verdict, flips

FLIPS = 1000


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_flipped_bit_is_never_served_as_good(tmp_path: Path, seed: int) -> None:
    outcome = await flips(tmp_path, seed, FLIPS)
    assert not outcome.breaches
    assert all(outcome.verdicts[one] for one in Verdict if one is not Verdict.SERVED)
