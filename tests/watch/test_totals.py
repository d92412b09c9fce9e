"""Totals that only grow, whatever surveys find and miss."""

from collections.abc import Mapping

import pytest

from bus.watch.totals import Totals
from tests.watch.bus import behind, surveyed

Bounds = Mapping[int, tuple[int, int]]


@pytest.mark.parametrize(
    ("found", "totals"),
    [
        pytest.param([{0: (0, 4), 1: (0, 3)}], [7], id="it begins with what there is"),
        pytest.param([{0: (0, 4)}, {0: (4, 9)}], [4, 9], id="what is deleted came all the same"),
        pytest.param([{0: (0, 4)}, {0: (0, 1)}, {0: (0, 3)}], [4, 4, 6], id="made anew"),
        pytest.param(
            [{0: (0, 4), 1: (0, 9)}, {0: (0, 5)}, {0: (0, 5), 1: (0, 11)}],
            [13, 14, 16],
            id="nobody answers for a partition for a while",
        ),
        pytest.param([{0: (0, 4)}, {0: (0, 4), 1: (0, 9)}], [4, 4], id="a new partition"),
    ],
)
def test_events_in(found: list[Bounds], totals: list[int]) -> None:
    seen, counted = Totals(), []
    for at, bounds in enumerate(found):
        seen.take(surveyed(at, {"t": bounds}))
        counted.append(seen.appended["t"])
    assert counted == totals


@pytest.mark.parametrize(
    ("found", "committed", "lost"),
    [
        pytest.param([(0, 9, 2), (0, 9, 5)], 3, 0, id="it reads"),
        pytest.param([(0, 9, 5), (0, 9, 2), (0, 9, 5)], 3, 0, id="set back: no reading by that"),
        pytest.param([(0, 9, None), (0, 9, 9)], 0, 0, id="it may have begun at the end"),
        pytest.param([(4, 4, None), (4, 9, 7)], 3, 0, id="it began where the log was empty"),
        pytest.param([(4, 4, None), (4, 9, None), (4, 9, 7)], 3, 0, id="some time ago"),
        pytest.param([(0, 9, 2), (6, 9, 2)], 0, 4, id="deleted unread"),
        pytest.param([(0, 9, 2), (6, 9, 2), (6, 9, 6)], 4, 4, id="it goes on: still lost"),
        pytest.param([(0, 9, 2), (4, 9, 2), (6, 9, 2)], 0, 4, id="deleted by and by"),
        pytest.param([(0, 9, 2), (6, 9, 4)], 2, 2, id="it had read a part"),
        pytest.param([(0, 9, 2), (6, 9, 8)], 6, 0, id="deleted behind it, for all one can know"),
        pytest.param([(6, 9, 2), (6, 9, 2)], 0, 4, id="lost when it was first seen"),
        pytest.param([(6, 9, 8), (6, 9, 2)], 0, 0, id="set back before the start: it had read it"),
        pytest.param([(6, 9, 7), (0, 2, 7)], 0, 0, id="the topic was made anew"),
    ],
)
def test_what_groups_read_and_lose(
    found: list[tuple[int, int, int | None]], committed: int, lost: int
) -> None:
    totals = Totals()
    for at, (start, end, position) in enumerate(found):
        positions = {} if position is None else {0: position}
        one = behind("g", "t", positions=positions, lost=max(start - (position or start), 0))
        totals.take(surveyed(at, {"t": {0: (start, end)}}, [one]))
    assert (totals.committed["g", "t"], totals.lost["g", "t"]) == (committed, lost)


def test_what_is_gone_is_forgotten() -> None:
    totals = Totals()
    totals.take(surveyed(1, {"t": {0: (0, 9)}}, [behind("g", "t", positions={0: 5})]))
    totals.take(surveyed(2, {}, []))
    assert (totals.appended, totals.committed, totals.lost) == ({}, {}, {})
