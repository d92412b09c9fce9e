"""Requests that need a right: made whole, and what they are answered without it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, get_args, get_origin

from confluent_kafka.admin import AclOperation as Op
from confluent_kafka.admin import ResourceType as On
from kio.index import load_request_schema
from kio.schema.errors import ErrorCode

TOPIC, NEW_TOPIC = "rights.topic", "rights.new"
GROUP, TXN = "rights.group", "rights.transaction"
CLUSTER = "kafka-cluster"

REFUSED = {
    On.TOPIC: ErrorCode.topic_authorization_failed,
    On.GROUP: ErrorCode.group_authorization_failed,
    On.TRANSACTIONAL_ID: ErrorCode.transactional_id_authorization_failed,
    On.BROKER: ErrorCode.cluster_authorization_failed,  # how this client calls the cluster
}
"""What is answered to who has no right on something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, and the one right that it needs.

    Args:
        said: what it does, in words.
        on, name: what the right is on.
        needs: the right; None if it is tried without it only.
        fields: of the request; what is left out is empty, zero or null.
    """

    said: str
    key: int
    version: int
    on: On
    name: str
    needs: Op | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def whole(key: int, version: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a request: those given, the others empty, zero or null."""
    return _whole(load_request_schema(key, version), fields)


def _whole(schema: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    made = {}
    for one in dataclasses.fields(schema):
        inner = _inner(one.type)
        if one.name not in given:
            made[one.name] = _nothing(one, inner)
        elif inner is not None and isinstance(given[one.name], Sequence):
            made[one.name] = [_whole(inner, value) for value in given[one.name]]
        else:
            made[one.name] = given[one.name]
    return made


def _inner(kind: Any) -> Any:
    """Return the class of what an array holds, or of a structure; None for anything else."""
    for option in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        inner = get_args(option)[0] if get_origin(option) is tuple else option
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            return inner
    return None


def _nothing(one: Any, inner: Any) -> Any:
    kind = one.metadata.get("kafka_type", "")
    if type(None) in get_args(one.type):
        return None
    if get_origin(one.type) is tuple:
        return ()
    if inner is not None:
        return _whole(inner, {})
    return {"string": "", "bytes": b"", "bool": False, "float64": 0.0}.get(kind, 0)


def errors(answer: Any) -> set[ErrorCode]:
    """Return all errors in an answer, wherever they stand in it."""
    return set(_errors(answer))


def _errors(value: Any) -> Iterator[ErrorCode]:
    if isinstance(value, ErrorCode):
        if value:
            yield value
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            yield from _errors(getattr(value, one.name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _errors(item)


def topic(
    said: str, key: int, version: int, needs: Op, *, name: str = TOPIC, **fields: Any
) -> Asked:
    """Return a request about a topic."""
    return Asked(
        said=said, key=key, version=version, on=On.TOPIC, name=name, needs=needs, fields=fields
    )


def group(said: str, key: int, version: int, needs: Op | None, **fields: Any) -> Asked:
    """Return a request about the group."""
    more = {"group_id": GROUP, **fields}
    return Asked(
        said=said, key=key, version=version, on=On.GROUP, name=GROUP, needs=needs, fields=more
    )


def transaction(said: str, key: int, version: int, needs: Op | None, **fields: Any) -> Asked:
    """Return a request about the transactional id."""
    return Asked(
        said=said,
        key=key,
        version=version,
        on=On.TRANSACTIONAL_ID,
        name=TXN,
        needs=needs,
        fields={"transactional_id": TXN, **fields},
    )


def whole_cluster(said: str, key: int, version: int, needs: Op | None, **fields: Any) -> Asked:
    """Return a request about the cluster."""
    return Asked(
        said=said, key=key, version=version, on=On.BROKER, name=CLUSTER, needs=needs, fields=fields
    )
