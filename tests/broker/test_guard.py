"""What is checked of a request before it is read."""

import struct
from typing import Any

import pytest
from kio.index import load_request_schema

from bus.broker import ApiKey
from bus.broker.guard import LyingLength, clean
from bus.broker.wire import MalformedRequest, read_request
from tests.broker.raw import frame, request, topic

METADATA: Any = load_request_schema(ApiKey.METADATA, 12)
FIELDS = {
    "topics": [{"topic_id": None, "name": "some-topic"}],
    "allow_auto_topic_creation": False,
    "include_topic_authorized_operations": False,
}


def body(*, header_tags: bytes = b"\0", topic_tags: bytes = b"\0", tags: bytes = b"\0") -> bytes:
    """Return a Metadata request of version 12 with these sections of tagged fields."""
    header = struct.pack(">hhih", ApiKey.METADATA, 12, 7, 3) + b"raw" + header_tags
    one = bytes(16) + b"\x0bsome-topic" + topic_tags
    return header + b"\x02" + one + b"\0\0" + tags


def test_a_request_of_known_fields_is_left_as_it_is() -> None:
    whole = request(ApiKey.METADATA, 12, FIELDS)[4:]
    assert whole == body()
    assert clean(METADATA, whole) == (whole, 14)


@pytest.mark.parametrize("where", ["header_tags", "topic_tags", "tags"])
def test_unknown_tags_are_ignored(where: str) -> None:
    unknown = b"\x02" + b"\x63\x03abc" + b"\xe4\x01\x00"
    sent = body(**{where: unknown})
    assert clean(METADATA, sent)[0] == body()
    read = read_request(sent, ApiKey.METADATA, 12, 7)
    assert (read.client_id, read.body.topics[0].name) == ("raw", "some-topic")


def test_known_tags_are_kept() -> None:
    fields = {
        "cluster_id": "somewhere",
        "max_wait": 0,
        "min_bytes": 0,
        "topics": [],
        "forgotten_topics_data": [],
    }
    whole = request(ApiKey.FETCH, 12, fields)[4:]
    assert read_request(whole, ApiKey.FETCH, 12, 7).body.cluster_id == "somewhere"


@pytest.mark.parametrize(
    ("key", "version", "sent"),
    [
        pytest.param(ApiKey.METADATA, 4, struct.pack(">i", 2**31 - 1), id="array"),
        pytest.param(ApiKey.METADATA, 4, struct.pack(">i", 2) + b"\0\1a", id="array ends early"),
        pytest.param(ApiKey.METADATA, 9, b"\0\xff\xff\xff\xff\x0f", id="compact array"),
        pytest.param(ApiKey.METADATA, 9, b"\0" + b"\xff" * 9, id="endless number"),
        pytest.param(ApiKey.METADATA, 9, b"\0\x01\0\0\0\x01\x05\x7f", id="tag"),
        pytest.param(ApiKey.HEARTBEAT, 0, b"\x7f\xffg", id="string"),
        pytest.param(ApiKey.METADATA, 4, b"", id="nothing"),
    ],
)
def test_lengths_that_lie_are_found_before_memory_is_reserved(
    key: ApiKey, version: int, sent: bytes
) -> None:
    with pytest.raises(MalformedRequest):
        read_request(frame(key, version, sent)[4:], key, version, 7)


def test_an_array_above_the_limit_is_refused_even_if_it_is_all_there() -> None:
    fields = {"topics": [topic("t")] * 100_001, "timeout": 1, "validate_only": False}
    whole = request(ApiKey.CREATE_TOPICS, 5, fields)[4:]
    schema: Any = load_request_schema(ApiKey.CREATE_TOPICS, 5)
    with pytest.raises(LyingLength, match="100001 items"):
        clean(schema, whole)


def test_items_are_counted_over_all_arrays_of_a_request() -> None:
    """Many short arrays inside a long one cost as much as one that is too long."""
    topics = [{"name": "t", "partitions": [{"partition_index": 0, "timestamp": -1}] * 9}] * 10
    fields = {"replica_id": -1, "topics": topics}
    whole = request(ApiKey.LIST_OFFSETS, 1, fields)[4:]
    assert len(read_request(whole, ApiKey.LIST_OFFSETS, 1, 7, 100).body.topics) == 10
    with pytest.raises(MalformedRequest, match="9 items are more"):
        read_request(whole, ApiKey.LIST_OFFSETS, 1, 7, 99)


def test_tags_are_counted_as_items() -> None:
    unknown = b"\x7f" + b"\x63\0" * 127
    assert clean(METADATA, body(tags=unknown), 128)[0] == body()
    with pytest.raises(LyingLength, match="127 items are more"):
        clean(METADATA, body(tags=unknown), 127)
