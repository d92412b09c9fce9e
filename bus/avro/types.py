"""Avro types as values, the names in them, and how sentences speak of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class _Missing:
    """The default of a field that has none; None would be the default ``null``."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True, eq=False)
class Primitive:
    """One of the eight primitive types, with its attributes (``logicalType`` and others)."""

    kind: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """A list of items of one type."""

    items: "Type"


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """Values of one type by text."""

    values: "Type"


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """One of several types; which, is written before the value."""

    branches: tuple["Type", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """One of several symbols."""

    name: str
    aliases: frozenset[str]
    symbols: tuple[str, ...]
    default: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A fixed number of bytes, with its attributes (``logicalType`` and others)."""

    name: str
    aliases: frozenset[str]
    size: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a record; `default` is `MISSING` where there is none."""

    name: str
    aliases: tuple[str, ...]
    type: "Type"
    default: Any


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Named fields in order; an Avro ``error`` is one, too."""

    name: str
    aliases: frozenset[str]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The use of a named type that was defined before, or that is being defined."""

    name: str


Named: TypeAlias = Enum | Fixed | Record
Type: TypeAlias = Primitive | Array | Map | Union | Named | Reference


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A parsed schema.

    Args:
        root: its outermost type.
        named: every named type in it, by full name.
        source: the JSON value that it was read from.
    """

    root: Type
    named: Mapping[str, Named]
    source: Any

    def resolve(self, type_: Type) -> Type:
        """Return what a reference stands for, and any other type as it is."""
        return self.named[type_.name] if isinstance(type_, Reference) else type_


def describe(schema: Schema, type_: Type) -> str:
    """Return a type in a few words: ``long``, ``record Address``, ``array of string``."""
    match schema.resolve(type_):
        case Primitive(kind):
            return kind
        case Array(items):
            return f"array of {describe(schema, items)}"
        case Map(values):
            return f"map of {describe(schema, values)}"
        case Union(branches):
            return "union of " + (" and ".join(describe(schema, b) for b in branches) or "nothing")
        case Fixed(name, _, size):
            return f"fixed {unqualified(name)} of {size} bytes"
        case Enum(name):
            return f"enum {unqualified(name)}"
        case Record(name):
            return f"record {unqualified(name)}"
        case Reference(name):  # pragma: no cover - resolve leaves none
            return name


def unqualified(name: str) -> str:
    """Return a full name without its namespace."""
    return name.rpartition(".")[2]


def full_name(name: str, namespace: str) -> str:
    """Return a name with its namespace: a dotted one has its own (specification, "Names")."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def below(path: str, name: str) -> str:
    """Return the path of a field."""
    return f"{path}.{name}" if path else name
