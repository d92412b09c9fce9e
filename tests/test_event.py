"""The pure functions of the wire contract; its bytes are pinned by tests/wire."""

from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from unicodedata import normalize
from uuid import UUID

import pytest
from aiokafka.partitioner import murmur2 as java_murmur2
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import InvalidEvent, UndecodableEvent
from bus.event import (
    frame,
    key_of,
    member_of,
    murmur2,
    new_id,
    partition_of,
    read_key,
    read_time,
    split_key,
    unframe,
    write_time,
)

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


class Colour(StrEnum):
    RED = "red"


@given(st.binary())
def test_murmur2_is_kafkas(data: bytes) -> None:
    assert murmur2(data) == java_murmur2(data) & 0xFFFFFFFF


@given(text, st.integers(1, 1000))
def test_a_partition_is_one_of_the_topics(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.lists(text, min_size=1))
def test_a_key_can_be_read_and_taken_apart(fields: list[str]) -> None:
    try:
        key = key_of(fields)
    except InvalidEvent:
        assert any(":" in field for field in fields)
        return
    assert read_key(key.encode()) == key
    assert split_key(key) == tuple(normalize("NFC", field) for field in fields)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        pytest.param(7, "7", id="a number"),
        pytest.param(date(2026, 7, 1), "2026-07-01", id="a date"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", id="a UUID"),
        pytest.param(Colour.RED, "red", id="an enum's symbol"),
    ],
)
def test_what_may_be_part_of_a_key(value: object, key: str) -> None:
    assert key_of([value]) == key


@pytest.mark.parametrize(
    "value", [True, 1.5, None, b"a", "", ["a"], datetime(2026, 7, 1, tzinfo=UTC), "a:\u0300"]
)
def test_what_may_not(value: object) -> None:
    with pytest.raises(InvalidEvent):
        key_of([value])


@pytest.mark.parametrize(
    ("name", "member"),
    [
        pytest.param("de.mun.055150000000.zaehler", "de.mun.055150000000", id="a system"),
        pytest.param("de.agency.statistik.count-report", "de.agency.statistik", id="a group"),
        pytest.param("de.agency.statistik.a.b", "de.agency.statistik", id="with further parts"),
        pytest.param("de.agency.statistik", None, id="the member alone"),
        pytest.param("de.city.statistik.a", None, id="an unknown class"),
        pytest.param("DE.agency.statistik.a", None, id="capitals"),
        pytest.param("de.agency.statistik.", None, id="an empty part"),
        pytest.param("de.agency.statistik.a\n", None, id="a line feed"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_whose_system_or_group_it_is(name: str, member: str | None) -> None:
    assert member_of(name) == member


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001  # the zone is drawn
    st.integers(-1439, 1439),
)
def test_times_come_back(at: datetime, offset: int) -> None:
    moment = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    written = write_time(moment)
    assert written.endswith("Z")
    assert read_time(written) == moment


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01"])
def test_a_time_that_utc_has_no_year_for_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="beyond the calendar"):
        read_time(text)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="no time zone"):
        write_time(datetime(2026, 7, 1))  # noqa: DTZ001  # the point of the case


@pytest.mark.parametrize(
    "wrong",
    [
        "2026-07-01",
        "2026-07-01T00:00Z",
        "20260701T000000Z",
        "2026-07-01 00:00:00Z",
        "2026-07-01T00:00:00",
        "2026-07-01T24:00:01Z",
        "2026-07-01T23:59:60Z",
        "2026-W27-3T00:00:00Z",
        "2026-07-01T00:00:00,5Z",
        "2026-07-01T00:00:00+0200",
        "\uff12026-07-01T00:00:00Z",
        "2026-07-01T00:00:00Z\n",
    ],
)
def test_what_is_not_rfc_3339(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|must be in|range"):
        read_time(wrong)


@given(st.integers(0, 2**32 - 1), st.binary())
def test_unframe_undoes_frame(schema_id: int, body: bytes) -> None:
    assert unframe(frame(schema_id, body)) == (schema_id, body)


@given(st.binary(max_size=12))
def test_any_value_is_framed_or_refused(value: bytes) -> None:
    try:
        schema_id, body = unframe(value)
    except UndecodableEvent:
        assert len(value) < 5 or value[0] != 0
        return
    assert frame(schema_id, body) == value


def test_ids_are_of_version_7_and_count_up() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(set(ids))
    assert all(UUID(id_).version == 7 for id_ in ids)
