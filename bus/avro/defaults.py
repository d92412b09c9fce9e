"""Defaults of fields have the field's type (Avro specification, "Complex Types", Records)."""

import json
from collections.abc import Callable
from typing import Any

from bus.avro.types import (
    MISSING,
    Array,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Reference,
    Schema,
    Type,
    Union,
    below,
    describe,
)
from bus.errors import InvalidSchema


def check_defaults(schema: Schema) -> None:
    """Refuse a default that a reader could not use.

    The default of a union goes with its first branch: Avro 1.12 would take any, but many vendors'
    older libraries would not.

    Raises:
        InvalidSchema: a default is not of its field's type.
    """
    pending: list[tuple[Type, str]] = [(schema.root, "")]
    while pending:
        type_, path = pending.pop()
        match type_:
            case Array(items):
                pending.append((items, f"{path}[]"))
            case Map(values):
                pending.append((values, f"{path}{{}}"))
            case Union(branches):
                pending.extend((branch, path) for branch in branches)
            case Record(fields=fields):
                for field in fields:
                    place = below(path, field.name)
                    if field.default is not MISSING and not _fits(
                        schema, field.type, field.default
                    ):
                        raise InvalidSchema(
                            f"the default {json.dumps(field.default, ensure_ascii=False)} "
                            f"is not of type {_wanted(schema, field.type)}",
                            where=place,
                        )
                    pending.append((field.type, place))


def _wanted(schema: Schema, type_: Type) -> str:
    if isinstance(type_, Union) and type_.branches:
        return f"{describe(schema, type_.branches[0])}, the first branch of the union"
    return describe(schema, type_)


def _is_int(bits: int) -> Callable[[Any], bool]:
    return lambda v: (
        isinstance(v, int) and not isinstance(v, bool) and -(2 ** (bits - 1)) <= v < 2 ** (bits - 1)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


_FITS: dict[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "int": _is_int(32),
    "long": _is_int(64),
    "float": _is_number,
    "double": _is_number,
    "bytes": _is_bytes,
    "string": lambda v: isinstance(v, str),
}


def _fits(schema: Schema, type_: Type, value: Any) -> bool:
    match schema.resolve(type_):
        case Primitive(kind):
            return _FITS[kind](value)
        case Array(items):
            return isinstance(value, list) and all(_fits(schema, items, item) for item in value)
        case Map(values):
            return isinstance(value, dict) and all(
                _fits(schema, values, item) for item in value.values()
            )
        case Union(branches):
            return bool(branches) and _fits(schema, branches[0], value)
        case Enum(symbols=symbols):
            return value in symbols
        case Fixed(size=size):
            return _is_bytes(value) and len(value) == size
        case Record(fields=fields):
            return isinstance(value, dict) and all(
                _fits(schema, field.type, value[field.name])
                if field.name in value
                else field.default is not MISSING
                for field in fields
            )
        case Reference():  # pragma: no cover - resolve leaves none
            return False
