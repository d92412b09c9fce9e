"""A record without the headers that ours has leaves a run without a figure."""

import pytest

from bus.event import SOURCE
from ops.bench.addresses import id_of
from ops.bench.contract import SYSTEM
from ops.bench.envelope import Envelopes
from ops.bench.model import Unverified

TOPIC = "bench.try.v1"
Headers = dict[str, bytes]


def whole(n: int) -> Headers:
    return {
        "ce_specversion": b"1.0",
        "ce_source": f"{SOURCE}{SYSTEM}".encode(),
        "ce_type": TOPIC.encode(),
        "content-type": b"application/avro",
        "ce_id": id_of(n).encode(),
        "ce_time": b"2026-01-01T00:00:00Z",
        "ce_subject": b"k",
        "stadtbus-seq": f"{'0' * 32}/{n + 1}".encode(),
    }


def folded(*events: Headers) -> Envelopes:
    envelopes = Envelopes(TOPIC)
    for headers in events:
        envelopes.add(0, "k", list(headers.items()))
    return envelopes


def test_all_headers_pass_in_any_order() -> None:
    folded(whole(0), dict(reversed(whole(1).items()))).check()


@pytest.mark.parametrize("name", whole(0))
def test_a_header_that_is_missing_is_found(name: str) -> None:
    headers = whole(0)
    del headers[name]
    with pytest.raises(Unverified, match="an event has the headers"):
        folded(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("ce_specversion", b"0.3", id="another version of CloudEvents"),
        pytest.param("ce_source", b"urn:stadtbus:de.mun.1", id="another source"),
        pytest.param("ce_type", b"t", id="another topic's name"),
        pytest.param("content-type", b"a/b", id="another content type"),
        pytest.param("ce_id", b"1", id="an id that is no UUID"),
        pytest.param("ce_time", b"now", id="a time that is none"),
        pytest.param("ce_subject", b"x", id="another subject than the key"),
        pytest.param("stadtbus-seq", b"1", id="no sequence number"),
        pytest.param("extra", b"1", id="one header more"),
    ],
)
def test_a_header_that_is_not_as_ours_is_found(name: str, value: bytes) -> None:
    with pytest.raises(Unverified):
        folded(whole(0) | {name: value})


def test_a_header_that_is_there_twice_is_found() -> None:
    with pytest.raises(Unverified, match="an event has the headers"):
        Envelopes(TOPIC).add(0, "k", [*whole(0).items(), ("ce_id", b"1")])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("ce_id", "2 events have 1 different ids", id="an id"),
        pytest.param("stadtbus-seq", "1 different sequence numbers", id="a sequence number"),
    ],
)
def test_what_has_to_be_an_events_own(name: str, says: str) -> None:
    with pytest.raises(Unverified, match=says):
        folded(whole(0), whole(1) | {name: whole(0)[name]}).check()


def test_a_sequence_number_may_be_in_two_partitions() -> None:
    envelopes = Envelopes(TOPIC)
    for n in (0, 1):
        headers = whole(n) | {"stadtbus-seq": whole(0)["stadtbus-seq"]}
        envelopes.add(n, "k", list(headers.items()))
    envelopes.check()
