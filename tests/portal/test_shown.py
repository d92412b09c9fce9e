"""What strangers chose, as it is shown."""

import pytest

from bus.portal.shown import clipped, in_sentence, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("sensor.reading.v1", "sensor.reading.v1", id="a usual name"),
        pytest.param(
            "Straße Łódź 東京 café", "Straße Łódź 東京 café", id="letters of any language"
        ),
        pytest.param("\x1b[31mred\x07", "␛[31mred␇", id="orders to a terminal"),
        pytest.param("a\x00b\x7f\n", "a␀b␡␊", id="controls"),
        pytest.param("a\x85b", "a\\u0085b", id="controls beyond ASCII"),
        pytest.param("abc\u202egpj.exe", "abc\\u202egpj.exe", id="turned direction"),
        pytest.param("a\u200bb\ufeff", "a\\u200bb\\ufeff", id="invisible letters"),
        pytest.param("a\u2028b", "a\\u2028b", id="a line that is none"),
        pytest.param("\ud800", "\\ud800", id="half a pair"),
        pytest.param("مدينة", "مدينة", id="written from right to left"),
    ],
)
def test_nothing_is_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_long_is_clipped() -> None:
    assert clipped("a" * 10, 10) == "a" * 10
    assert clipped("a" * 11, 10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("count_report", "count_report", id="a usual name"),
        pytest.param("مدينة", "\u2068مدينة\u2069", id="isolated"),
        pytest.param("x" * 5000, "x" * 59 + "…", id="clipped"),
        pytest.param("\u202ex", "\\u202ex", id="turned direction"),
    ],
)
def test_a_name_in_a_sentence_leaves_the_rest_as_it_is(name: str, shown: str) -> None:
    assert in_sentence(name) == shown
