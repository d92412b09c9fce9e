"""What a record of view.traffic-load says, and what it adds up to."""

from datetime import UTC, datetime

import pytest

from bus.errors import UndecodableEvent
from bus.views.traffic import Window, read_window

START = datetime(2014, 1, 15, 7, 30, tzinfo=UTC)
KEY = b'["053150000000:ST022", [1389771000.0, 1389771899.9]]'


def window(*codes: int | None) -> Window:
    seen = {1_389_771_001_000_000 + 300_000_000 * n: code for n, code in enumerate(codes)}
    return Window(municipality="053150000000", segment="ST022", start=START, codes=seen)


@pytest.mark.parametrize(
    ("codes", "average", "unlisted", "invalid"),
    [
        pytest.param([0, 1, 2], 1.0, 0, 0, id="a mean"),
        pytest.param([0, 16, 1], 0.5, 1, 0, id="16 is counted and left out"),
        pytest.param([16, 16], None, 2, 0, id="nothing but 16: there is no average"),
        pytest.param([2, None], 2.0, 0, 1, id="what is not valid is left out, too"),
        pytest.param([-1, 17], 8.0, 0, 0, id="any other code is taken as it is"),
        pytest.param([], None, 0, 0, id="nothing at all"),
    ],
)
def test_averages(
    codes: list[int | None], average: float | None, unlisted: int, invalid: int
) -> None:
    seen = window(*codes)
    assert (seen.average, seen.unlisted, seen.invalid) == (average, unlisted, invalid)


def test_when_it_was_observed_last() -> None:
    assert window(0, 0).newest == datetime(2014, 1, 15, 7, 35, 1, tzinfo=UTC)
    assert window().newest == START


def test_a_record() -> None:
    value = b'{"v": 1, "place": [0, 7], "codes": {"1389771001000000": 0, "1389771301000000": null}}'
    assert read_window(KEY, value) == window(0, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param(None, b'{"v": 1, "codes": {}}', id="no key"),
        pytest.param(b"{}", b'{"v": 1, "codes": {}}', id="a key of another form"),
        pytest.param(b'["a", [0, 900]]', b'{"v": 1, "codes": {}}', id="no municipality"),
        pytest.param(b'["a:b", [1e99, 0]]', b'{"v": 1, "codes": {}}', id="a time without end"),
        pytest.param(KEY, b"", id="no value"),
        pytest.param(KEY, b'{"v": 2, "codes": {}}', id="a later version"),
        pytest.param(KEY, b'{"v": 1, "codes": [1]}', id="codes of another form"),
        pytest.param(KEY, b'{"v": 1, "codes": {"now": 1}}', id="a time that is none"),
        pytest.param(KEY, b'{"v": 1, "codes": {"9e99": 1}}', id="a time that is no number"),
        pytest.param(KEY, b'{"v": 1, "codes": {"%d": 1}}' % 10**30, id="a time in no calendar"),
        pytest.param(KEY, b'{"v": 1, "codes": {"1": "<b>"}}', id="a code that is text"),
        pytest.param(KEY, b'{"v": 1, "codes": {"1": true}}', id="a code that is a truth"),
        pytest.param(KEY, b"[" * 100_000, id="brackets without end"),
    ],
)
def test_what_is_no_record_of_the_view(key: bytes | None, value: bytes) -> None:
    with pytest.raises(UndecodableEvent, match=r"view\.traffic-load"):
        read_window(key, value)
