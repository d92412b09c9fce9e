"""Records in a file: a line of JSON each, with all that it takes to check them far from the bus."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bus.errors import InvalidInput
from bus.kafka import Fetched

_FIELDS = ("topic", "partition", "offset", "timestamp_ms", "key", "value", "headers", "schema")


class Exported(NamedTuple):
    """A record, and the schema that it was signed under.

    Args:
        record: as it lies on its topic.
        schema: the text of the contract's schema, on a feed too; None for a tombstone, and where
            nobody knew it.
    """

    record: Fetched
    schema: str | None


def write(exported: Exported) -> dict[str, Any]:
    """Return a record as JSON values: bytes in base64, headers as pairs in their order."""
    record = exported.record
    appended = datetime.fromtimestamp(record.appended, UTC).isoformat(timespec="milliseconds")
    return {
        "v": 1,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": appended.replace("+00:00", "Z"),
        "timestamp_ms": record.timestamp_ms,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": [[name, _text(value)] for name, value in record.headers],
        "schema": exported.schema,
    }


def read(line: str) -> Exported:
    """Return the record of a line.

    Raises:
        InvalidInput: it is no JSON of this form.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is no JSON: {error}") from None
    if not isinstance(value, dict) or value.get("v") != 1 or not value.keys() >= set(_FIELDS):
        raise InvalidInput(
            "is no record of version 1 with " + ", ".join(_FIELDS),
            remedy="take what `stadtbus topic export` writes",
        )
    topic, schema, headers = value["topic"], value["schema"], value["headers"]
    numbers = [value[name] for name in ("partition", "offset", "timestamp_ms")]
    if not isinstance(topic, str) or not all(type(number) is int for number in numbers):
        raise InvalidInput("topic is no text, or partition, offset or timestamp_ms no number")
    if not isinstance(schema, str | None):
        raise InvalidInput("schema is neither text nor null")
    if not isinstance(headers, list) or not all(_is_pair(pair) for pair in headers):
        raise InvalidInput("headers are no list of pairs of a name and base64")
    try:
        key, data = _bytes(value["key"]), _bytes(value["value"])
        pairs = [(name, _bytes(content)) for name, content in headers]
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"key, value or a header is no base64: {error}") from None
    partition, offset, timestamp_ms = numbers
    record = Fetched(topic, partition, offset, timestamp_ms, key, data, pairs)
    return Exported(record, schema)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _bytes(text: Any) -> Any:
    return None if text is None else base64.b64decode(text, validate=True)
