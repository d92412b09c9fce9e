"""How large a schema may be on the bus, so that no schema costs its readers more than it should.

Decoders recurse and allocate as a schema tells them to. A schema within these limits cannot make a
small event exhaust the stack or the memory of whoever reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from bus.avro.schema import parse
from bus.avro.types import (
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
)
from bus.errors import InvalidSchema

MAX_DEPTH = 32
MAX_NODES = 2000
# What 16 bytes can hold, and every database that subscribers use.
MAX_PRECISION = 38


def admit(source: Any) -> Schema:
    """Parse a schema and hold it to the bus's limits.

    Args:
        source: JSON text, or the value that such text stands for.

    Raises:
        InvalidSchema: it is no Avro, or goes past a limit; `where` is the path of the place.
    """
    schema = parse(source)
    check_limits(schema)
    return schema


def check_limits(schema: Schema) -> None:
    """Hold a parsed schema to the bus's limits; a named type counts wherever it is used.

    Raises:
        InvalidSchema: the schema goes past a limit.
    """
    _Measure(schema).measure(schema.root, "")


@dataclass(frozen=True, slots=True)
class _Size:
    """What a type comes to: levels, types in it, and whether its data may take no bytes at all."""

    depth: int
    nodes: int
    empty: bool


class _Measure:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._sizes: dict[str, _Size] = {}
        self._open: list[str] = []

    def measure(self, type_: Type, path: str) -> _Size:
        size = self._size(type_, path)
        if size.depth > MAX_DEPTH:
            raise InvalidSchema(f"types are nested more than {MAX_DEPTH} levels deep", where=path)
        if size.nodes > MAX_NODES:
            raise InvalidSchema(f"the schema has more than {MAX_NODES} types in it", where=path)
        return size

    def _size(self, type_: Type, path: str) -> _Size:
        match type_:
            case Primitive(kind):
                _check_decimal(type_, path)
                return _Size(1, 1, kind == "null")
            case Enum():
                return _Size(1, 1, False)
            case Fixed():
                _check_decimal(type_, path)
                return _Size(1, 1, type_.size == 0)
            case Array(items):
                return self._collection(items, f"{path}[]")
            case Map(values):
                return self._collection(values, f"{path}{{}}")
            case Union(branches):
                if not branches:
                    raise InvalidSchema("a union needs at least one branch", where=path)
                return self._all(((branch, path) for branch in branches), empty=False)
            case Record() | Reference():
                return self._by_name(type_.name, path)

    def _collection(self, type_: Type, path: str) -> _Size:
        size = self.measure(type_, path)
        if size.empty:
            raise InvalidSchema(
                "the items take no bytes, so a few bytes could stand for billions of them",
                where=path,
            )
        return _Size(size.depth + 1, size.nodes + 1, False)

    def _by_name(self, name: str, path: str) -> _Size:
        if name in self._open:
            raise InvalidSchema(f"the type {name} contains itself", where=path)
        if name not in self._sizes:
            named = self.schema.named[name]
            if not isinstance(named, Record):
                return self._size(named, path)
            self._open.append(name)
            places = ((field.type, below(path, field.name)) for field in named.fields)
            self._sizes[name] = self._all(places, empty=True)
            self._open.pop()
        return self._sizes[name]

    def _all(self, places: Iterator[tuple[Type, str]], *, empty: bool) -> _Size:
        depth, nodes = 0, 1
        for type_, path in places:
            size = self.measure(type_, path)
            depth, nodes, empty = max(depth, size.depth), nodes + size.nodes, empty and size.empty
        return _Size(depth + 1, nodes, empty)


def _check_decimal(type_: Primitive | Fixed, path: str) -> None:
    attributes = type_.attributes
    if attributes.get("logicalType") != "decimal" or _kind(type_) not in ("bytes", "fixed"):
        return
    precision, scale = attributes.get("precision"), attributes.get("scale", 0)
    if not _is_count(precision) or not 1 <= precision <= MAX_PRECISION:
        raise InvalidSchema(f"a decimal's precision is 1 to {MAX_PRECISION} digits", where=path)
    if not _is_count(scale) or not 0 <= scale <= precision:
        raise InvalidSchema("a decimal's scale is 0 to its precision", where=path)
    if isinstance(type_, Fixed) and 10**precision > 2 ** (8 * min(type_.size, 64) - 1):
        raise InvalidSchema(
            f"{type_.size} bytes are too few for a decimal of {precision} digits", where=path
        )


def _kind(type_: Primitive | Fixed) -> str:
    return type_.kind if isinstance(type_, Primitive) else "fixed"


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
