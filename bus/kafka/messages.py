"""Requests of the protocol that aiokafka lacks, or has only in versions that ask for one at a time.

Fields and versions are those of Apache Kafka's message definitions (``ListGroupsRequest.json``,
``OffsetFetchRequest.json``, ``DescribeLogDirsRequest.json``, ``MetadataRequest.json``).
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Self

from aiokafka.protocol.admin import DescribeGroupsRequest_v1, DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)

_TEXT, _COMPACT = String("utf-8"), CompactString("utf-8")


class _MetadataAnswer(Response):  # type: ignore[misc]
    """What stands before the topics; these are still to be read, each as `TOPIC` has it."""

    API_KEY = 3
    API_VERSION = 5
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT)),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        ("topic_count", Int32),
    )
    left: BytesIO

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        """Return the answer with what is left to be read."""
        left = BytesIO(data) if isinstance(data, bytes) else data
        answer: Self = super().decode(left)
        answer.left = left
        return answer


TOPIC = Schema(
    ("error_code", Int16),
    ("topic", _TEXT),
    ("is_internal", Boolean),
    (
        "partitions",
        Array(
            ("error_code", Int16),
            ("partition", Int32),
            ("leader", Int32),
            ("replicas", Array(Int32)),
            ("isr", Array(Int32)),
            ("offline", Array(Int32)),
        ),
    ),
)
"""A topic in an answer to `Metadata`."""


class _Metadata(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 5
    RESPONSE_TYPE = _MetadataAnswer
    SCHEMA = Schema(("topics", Array(_TEXT)), ("allow_auto_topic_creation", Boolean))


class Metadata(Request[_Metadata]):  # type: ignore[misc]
    """Ask for all topics; aiokafka reads the answer at once, which takes long for many of them."""

    API_KEY = 3

    def build(self, request_struct_class: type[_Metadata]) -> _Metadata:
        """Return the request as it is sent."""
        return request_struct_class(None, False)


class _ListGroupsAnswer(Response):  # type: ignore[misc]
    API_KEY = 16
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "groups",
            CompactArray(
                ("group", _COMPACT),
                ("protocol_type", _COMPACT),
                ("state", _COMPACT),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ListGroups(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 16
    API_VERSION = 4
    RESPONSE_TYPE = _ListGroupsAnswer
    SCHEMA = Schema(("states_filter", CompactArray(_COMPACT)), ("tags", TaggedFields))


class ListGroups(Request[_ListGroups]):  # type: ignore[misc]
    """Ask a broker for the groups that it coordinates, with their states (since Kafka 2.6)."""

    API_KEY = 16

    def build(self, request_struct_class: type[_ListGroups]) -> _ListGroups:
        """Return the request as it is sent."""
        return request_struct_class([], {})


class DescribeGroups(Request[DescribeGroupsRequest_v1 | DescribeGroupsRequest_v2]):  # type: ignore[misc]
    """Ask a coordinator about many groups; aiokafka reads version 3 as if it were version 2."""

    API_KEY = 15

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        """Return the request as it is sent."""
        return request_struct_class(list(self._groups))


class _OffsetFetchAnswer(Response):  # type: ignore[misc]
    API_KEY = 9
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            CompactArray(
                ("group", _COMPACT),
                (
                    "topics",
                    CompactArray(
                        ("topic", _COMPACT),
                        (
                            "partitions",
                            CompactArray(
                                ("partition", Int32),
                                ("offset", Int64),
                                ("leader_epoch", Int32),
                                ("metadata", _COMPACT),
                                ("error_code", Int16),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("error_code", Int16),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _OffsetFetch(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 8
    RESPONSE_TYPE = _OffsetFetchAnswer
    SCHEMA = Schema(
        (
            "groups",
            CompactArray(
                ("group", _COMPACT),
                (
                    "topics",
                    CompactArray(
                        ("topic", _COMPACT),
                        ("partitions", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class OffsetFetch(Request[_OffsetFetch]):  # type: ignore[misc]
    """Ask a coordinator for all positions of many groups at once (since Kafka 3.0)."""

    API_KEY = 9

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_OffsetFetch]) -> _OffsetFetch:
        """Return the request as it is sent."""
        return request_struct_class([(group, None, {}) for group in self._groups], False, {})


class _DescribeLogDirsAnswer(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "directories",
            Array(
                ("error_code", Int16),
                ("directory", _TEXT),
                (
                    "topics",
                    Array(
                        ("topic", _TEXT),
                        (
                            "partitions",
                            Array(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


class _DescribeLogDirs(RequestStruct):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _DescribeLogDirsAnswer
    SCHEMA = Schema(("topics", Array(("topic", _TEXT), ("partitions", Array(Int32)))))


class DescribeLogDirs(Request[_DescribeLogDirs]):  # type: ignore[misc]
    """Ask a broker how many bytes it holds of partitions."""

    API_KEY = 35

    def __init__(self, partitions: Mapping[str, Sequence[int]]) -> None:
        self._partitions = partitions

    def build(self, request_struct_class: type[_DescribeLogDirs]) -> _DescribeLogDirs:
        """Return the request as it is sent."""
        return request_struct_class([(t, list(p)) for t, p in self._partitions.items()])
