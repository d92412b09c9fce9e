"""The last record before marks, withdrawn records and what cannot be read."""

from itertools import chain

import pytest

from bus.watch.backwards import Backwards


def found(first: int, end: int, records: dict[int, float]) -> tuple[float | None, int]:
    """Return the time that a search comes to, and how often it asked."""
    search, asked = Backwards(first, end), 0
    while (at := search.ask) is not None:
        assert first <= at < end - 1
        later = [records[offset] for offset in sorted(records) if offset >= at]
        search.learn(at, later[0] if later else None)
        asked += 1
    return search.time, asked


@pytest.mark.parametrize(
    ("first", "end", "records", "time", "most"),
    [
        pytest.param(0, 1, {}, None, 0, id="nothing but the end"),
        pytest.param(0, 2, {0: 5.0}, 5.0, 1, id="a record and its mark"),
        pytest.param(7, 9, {}, None, 1, id="nothing that can be read"),
        pytest.param(0, 1000, {}, None, 11, id="nothing in much"),
        pytest.param(0, 1000, {0: 5.0}, 5.0, 22, id="only the first"),
        pytest.param(0, 1000, {0: 5.0, 500: 6.0, 501: 7.0}, 7.0, 22, id="the last of several"),
        pytest.param(100, 10**9, {100: 5.0, 10**6: 7.0}, 7.0, 62, id="a long way back"),
    ],
)
def test_the_last_record_is_found(
    first: int, end: int, records: dict[int, float], time: float | None, most: int
) -> None:
    seen, asked = found(first, end, records)
    assert seen == time
    assert asked <= most


def test_wherever_it_stands() -> None:
    for end, last in chain.from_iterable(((end, at) for at in range(end - 1)) for end in range(40)):
        assert found(0, end, {last: 1.0 + last})[0] == 1.0 + last
