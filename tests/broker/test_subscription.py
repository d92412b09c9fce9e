"""What consumers say that they are subscribed to, and what is no such thing."""

import struct

import pytest

from bus.broker.groups.subscription import topics_of
from tests.engines.party import subscription


@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_subscription_is_read_in_any_version(version: int) -> None:
    said = struct.pack(">h", version) + subscription("t", "straße")[2:] + b"later fields"
    assert topics_of(said) == frozenset({"t", "straße"})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(subscription("topic")[:-6], id="cut off"),
        pytest.param(struct.pack(">hi", 0, 2**31 - 1), id="more topics than bytes"),
        pytest.param(struct.pack(">hih", 0, 1, -9), id="negative length"),
        pytest.param(struct.pack(">hih", 0, 1, 2) + b"\xff\xff", id="no UTF-8"),
    ],
)
def test_what_is_no_subscription(said: bytes) -> None:
    assert topics_of(said) is None
