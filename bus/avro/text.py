"""Data to JSON and back, for files, command lines and pages: times as RFC 3339, bytes as base64.

The JSON is plain: a union's value stands there without the name of its branch.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from bus.avro.logical import logical
from bus.avro.types import Array, Fixed, Map, Primitive, Record, Schema, Type, Union


def to_json(value: Any) -> Any:
    """Return decoded data as JSON values."""
    match value:
        case Mapping():
            return {name: to_json(item) for name, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
    return value


def from_json(schema: Schema, value: Any) -> Any:
    """Return JSON values as data of a schema.

    What does not fit is left as it is, for the encoder to refuse with its path.
    """
    return _read(schema, schema.root, value)


def _read(schema: Schema, type_: Type, value: Any) -> Any:
    match schema.resolve(type_):
        case Record(_, _, fields) if isinstance(value, Mapping):
            types = {field.name: field.type for field in fields}
            return {
                name: _read(schema, types[name], item) if name in types else item
                for name, item in value.items()
            }
        case Array(items) if isinstance(value, list):
            return [_read(schema, items, item) for item in value]
        case Map(values) if isinstance(value, Mapping):
            return {name: _read(schema, values, item) for name, item in value.items()}
        case Union(branches):
            return _branch(schema, branches, value)
        case Primitive() | Fixed() as leaf:
            return _leaf(leaf, value)
    return value


def _branch(schema: Schema, branches: tuple[Type, ...], value: Any) -> Any:
    """Return the first reading that changes the value; most unions are one type or nothing."""
    if value is None:
        return None
    for branch in branches:
        read = _read(schema, branch, value)
        if read != value or type(read) is not type(value):
            return read
    return value


def _leaf(type_: Primitive | Fixed, value: Any) -> Any:
    found = logical(type_)
    kind = found.python if found else None
    if isinstance(value, int) and not isinstance(value, bool):
        real = isinstance(type_, Primitive) and type_.kind in ("float", "double")
        return float(value) if real and abs(value) < 2**53 else value
    if not isinstance(value, str):
        return value
    try:
        if kind in (date, datetime, time):
            return kind.fromisoformat(value)
        if kind in (Decimal, UUID):
            return kind(value)
        if isinstance(type_, Fixed) or type_.kind == "bytes":
            return base64.b64decode(value, validate=True)
    except (ValueError, InvalidOperation, binascii.Error):
        return value
    return value
