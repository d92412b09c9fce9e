"""What becomes of one record of a shared topic."""

from collections.abc import Callable

import pytest

from bus.avro.codec import Codec
from bus.contracts import Contract, load_all
from bus.event import frame, partition_of
from bus.kafka import Fetched
from bus.router.routing import Passed, Refused, Route
from bus.subscriber.decoding import Decoder
from tests.city import READINGS, reading

ID = "0199c0de-0000-7000-8000-000000000001"
FEED = "feed.open.sensor.reading.v1"
SCHEMA = 7


class Nobody:
    """A registry that is not asked."""

    async def schema_on(self, topic: str, schema_id: int) -> None:
        raise AssertionError(f"asked for {schema_id} on {topic}")


@pytest.fixture(scope="module")
def contract() -> Contract:
    found = next(one for one in load_all(None) if one.topic == READINGS)
    ids = [100 + n for n in range(len(found.versions) - 1)] + [SCHEMA]
    return Contract.from_json({**found.to_json(), "schema_ids": ids})


@pytest.fixture(scope="module")
def route(contract: Contract) -> Route:
    return Route(contract, Decoder(contract, Nobody()), "AAAAAAAAAAAAAAAAAAAAAQ", FEED)


@pytest.fixture(scope="module")
def good(contract: Contract) -> Fetched:
    data = reading(1)
    key = contract.key_of(data)
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", ID.encode()),
        ("ce_source", b"urn:stadtbus:de.mun.055150000000.zaehlstellen"),
        ("ce_type", READINGS.encode()),
        ("ce_time", b"2026-07-01T00:00:00Z"),
        ("content-type", b"application/avro"),
        ("ce_correlationid", b"another's"),
    ]
    value = frame(SCHEMA, Codec(contract.versions[-1]).encode(data))
    partition = partition_of(key, contract.partitions)
    return Fetched(READINGS, partition, 41, 0, key.encode(), value, headers)


def test_a_good_event_goes_on_byte_for_byte(route: Route, good: Fetched) -> None:
    verdict = route.take(good)
    assert isinstance(verdict, Passed)
    ((topic, partition, record),) = verdict.writes
    assert (topic, partition) == (FEED, good.partition)
    assert (record.key, record.value) == (good.key, good.value)
    origin = f"{READINGS}/AAAAAAAAAAAAAAAAAAAAAQ/{good.partition}/41".encode()
    assert list(record.headers) == [*good.headers, ("stadtbus-origin", origin)]


def test_the_origin_is_the_routers_to_set(route: Route, good: Fetched) -> None:
    forged = good._replace(headers=[("stadtbus-origin", b"elsewhere/x/0/0"), *good.headers])
    verdict = route.take(forged)
    assert isinstance(verdict, Passed)
    origins = [v for name, v in verdict.writes[0][2].headers if name == "stadtbus-origin"]
    assert origins == [f"{READINGS}/AAAAAAAAAAAAAAAAAAAAAQ/{good.partition}/41".encode()]


def test_the_end_of_a_state_goes_on(route: Route, good: Fetched) -> None:
    verdict = route.take(good._replace(value=None))
    assert isinstance(verdict, Passed)
    assert verdict.writes[0][2].value is None


def _elsewhere(record: Fetched) -> Fetched:
    return record._replace(partition=(record.partition + 1) % 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r._replace(key=None), "bad-key"),
        (lambda r: r._replace(key=b"another:one"), "bad-key"),
        (lambda r: r._replace(headers=[]), "bad-envelope"),
        (lambda r: r._replace(headers=[*r.headers, ("ce_id", ID.encode())]), "bad-envelope"),
        (lambda r: r._replace(value=b"\x00\x00"), "bad-frame"),
        (lambda r: r._replace(value=r.value + b"\x00"), "bad-data"),
        (lambda r: r._replace(value=r.value[:-1]), "bad-data"),
        (_elsewhere, "other-partition"),
        (lambda r: _elsewhere(r)._replace(value=None), "other-partition"),
        (lambda r: r._replace(fault="it does not unpack", headers=[]), "bad-batch"),
    ],
)
def test_what_is_refused_has_its_reason(
    route: Route, good: Fetched, change: Callable[[Fetched], Fetched], reason: str
) -> None:
    verdict = route.take(change(good))
    assert isinstance(verdict, Refused)
    assert verdict.reason == reason
    assert verdict.detail
