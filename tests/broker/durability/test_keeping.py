"""Killed in the middle of each kind of housekeeping: nothing that stays is lost, the rest goes."""

from pathlib import Path

import pytest

from ops.torture.broker.keeping import STEPS, cut, moments, record

EACH = 1


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_disk")
async def test_housekeeping_that_is_cut_into_goes_on_where_it_was(
    tmp_path: Path, seed: int
) -> None:
    (data := tmp_path / "data").mkdir()
    (work := tmp_path / "work").mkdir()
    recording = await record(data, seed)
    assert moments(recording).keys() == STEPS.keys()
    outcome = await cut(recording, work, seed, EACH)
    assert not outcome.breaches
    assert outcome.acknowledged > 0
