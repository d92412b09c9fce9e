"""One row with a wrong year does not hold up the rest of a recording."""

from datetime import UTC, datetime, timedelta

import pytest

from producers.traffic.order import AWAY, BACK, BORNE_OUT, HOLE, in_order

DAY = datetime(2014, 1, 15, tzinfo=UTC)
MORNING = [DAY + timedelta(minutes=5 * number) for number in range(BORNE_OUT + 20)]
LATER = [at + timedelta(days=400) for at in MORNING]


def sorted_out(times: list[datetime | None]) -> dict[int, str]:
    """Return which rows were refused, and why; all come, in the order of the file."""
    rows = [(number, at, "") for number, at in enumerate(times)]
    found = list(in_order(rows, lambda row: row[1], lambda row, why: (row[0], None, why)))
    assert [number for number, _, _ in found] == list(range(len(times)))
    return {number: why for number, _, why in found if why}


def year(at: datetime, number: int) -> datetime:
    return at.replace(year=number)


@pytest.mark.parametrize(
    ("times", "refused"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param(MORNING, {}, id="all in order"),
        pytest.param(MORNING[:3], {}, id="a short one"),
        pytest.param(
            [*MORNING[:50], year(MORNING[50], 2104), *MORNING[51:]], {50: AWAY}, id="a wrong year"
        ),
        pytest.param(
            [*MORNING[:110], year(MORNING[110], 2104), *MORNING[111:]],
            {110: AWAY},
            id="after many rows",
        ),
        pytest.param(
            [*MORNING[:50], *(year(at, 2104) for at in MORNING[50:60]), *MORNING[60:]],
            dict.fromkeys(range(50, 60), AWAY),
            id="ten of them",
        ),
        pytest.param(
            [*MORNING[:50], year(DAY, 2104), year(DAY, 2050), *MORNING[52:]],
            {50: AWAY, 51: AWAY},
            id="two wrong years",
        ),
        pytest.param([*MORNING, year(DAY, 2104)], {len(MORNING): AWAY}, id="at the end"),
        pytest.param([year(DAY, 2104), *MORNING], {0: AWAY}, id="at the start, too late"),
        pytest.param([year(DAY, 1914), *MORNING], {0: AWAY}, id="at the start, too early"),
        pytest.param([DAY, year(DAY, 2104)], {1: AWAY}, id="of two rows the first one counts"),
        pytest.param(
            [*MORNING[:50], year(DAY, 1914), *MORNING[51:]], {50: AWAY}, id="long ago, early on"
        ),
        pytest.param(
            [*MORNING, year(DAY, 1914), MORNING[-1]], {len(MORNING): BACK}, id="long ago, later on"
        ),
        pytest.param(
            [*MORNING[:9], MORNING[3], *MORNING[9:]], {9: BACK}, id="a little back in time"
        ),
        pytest.param([*MORNING, *LATER], {}, id="a hole that is borne out"),
        pytest.param(
            [*MORNING, *LATER[:9], *MORNING[-1:], *LATER],
            dict.fromkeys(range(len(MORNING), len(MORNING) + 9), AWAY),
            id="a hole that was none, and one that is",
        ),
        pytest.param([DAY, DAY + HOLE, DAY + 2 * HOLE], {}, id="no hole is too large yet"),
    ],
)
def test_what_stands_out_is_refused_and_the_rest_goes_on(
    times: list[datetime | None], refused: dict[int, str]
) -> None:
    assert sorted_out(times) == refused


def test_a_row_that_was_refused_before_keeps_its_place() -> None:
    times = [*MORNING[:5], year(DAY, 2104), None, *MORNING[5:]]
    assert sorted_out(times) == {5: AWAY}
