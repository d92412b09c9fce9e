"""A promise travels beside positions, and what others write there says nothing."""

import pytest

from bus.errors import InvalidSettings
from bus.subscriber import Subscriber
from bus.subscriber.promise import metadata, promised


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30.0, "stadtbus/1 promise=30"),
        (0.5, "stadtbus/1 promise=0.5"),
        (86_400.0, "stadtbus/1 promise=86400"),
        (0.001, "stadtbus/1 promise=0.001"),
    ],
)
def test_there_and_back(seconds: float, text: str) -> None:
    assert metadata(seconds) == text
    assert promised(text) == seconds


def test_who_promises_nothing_writes_nothing() -> None:
    assert metadata(None) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("aiokafka", None, id="what another client writes"),
        pytest.param("promise=30", None, id="without our mark"),
        pytest.param("stadtbus/2 promise=30", None, id="a version that we do not know"),
        pytest.param("stadtbus/1 later=x promise=30 more=1", 30.0, id="names of later versions"),
        pytest.param("stadtbus/1 promise=-5", None, id="negative"),
        pytest.param("stadtbus/1 promise=0", None, id="none at all"),
        pytest.param("stadtbus/1 promise=1e999", None, id="no plain number"),
        pytest.param("stadtbus/1 promise=9999999999999", None, id="more than anybody lives"),
        pytest.param("stadtbus/1 promise=\u0663", None, id="digits of another script"),
        pytest.param("stadtbus/1 " + "x" * 4000, None, id="as long as it may be"),
    ],
)
def test_what_is_read(text: str, seconds: float | None) -> None:
    assert promised(text) == seconds


@pytest.mark.parametrize("promise", [0.0, -1.0, float("nan"), float("inf"), 1e12])
def test_what_cannot_be_promised_is_refused(promise: float) -> None:
    with pytest.raises(InvalidSettings, match="no number of seconds"):
        Subscriber("de.agency.statistik.x", ["t.u.v1"], promise=promise)
