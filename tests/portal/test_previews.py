"""Dead letters as a page shows them."""

import pytest

from bus.letters import Letter
from bus.portal.previews import preview


def letter(time: str) -> Letter:
    return Letter(
        topic="dead.de.x.a.b.v1", partition=0, offset=7, at_ms=0, key=b"k", value=b"v", headers=(),
        reason="bad-event", detail="", origin="b.v1/0/3", group="de.x.a", time=time, earlier=(),
        without="", sha256="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("time", "at"),
    [
        pytest.param("2027-01-15T08:00:00Z", 1_800_000_000.0, id="ours"),
        pytest.param("2027-01-15T09:00:00.5+01:00", 1_800_000_000.5, id="another zone"),
        pytest.param("yesterday", None, id="no time"),
        pytest.param("0001-01-01T00:00:00+14:00", None, id="before the calendar"),
        pytest.param("", None, id="none"),
    ],
)
def test_when_an_event_was_refused(time: str, at: float | None) -> None:
    assert preview(letter(time), None).at == at
