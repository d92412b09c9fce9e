"""Avro bytes to data: one function for each type of a schema, made once, each checking as it reads.

So no walk before the decoder is needed: what it has read it has checked, and `decoder` refuses
whatever is left over. A schema is within `bus.avro.limits`, so nesting is bounded by the schema.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from bus.avro.fast import Inline, compile_decoder, compile_splitter
from bus.avro.guard import (
    MAX_ITEMS,
    Malformed,
    read_block,
    read_bytes,
    read_index,
    read_int,
    read_long,
)
from bus.avro.logical import logical
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
)

Decode = Callable[[bytes, int], tuple[Any, int]]

_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")


def decoder(schema: Schema) -> Callable[[bytes], Any]:
    """Return the function that decodes data of a schema and uses all bytes given.

    It raises `Malformed`, or ValueError where a value is none of its logical type.
    """
    root = _type(schema, schema.root)

    def decode(data: bytes) -> Any:
        value, end = root(data, 0)
        if end < len(data):
            raise Malformed(f"{len(data) - end} bytes are left over")
        if end > len(data):
            raise Malformed(f"a length goes {end - len(data)} bytes past the end")
        return value

    return decode


def splitter(schema: Schema, record: Record) -> Callable[[bytes], list[bytes]]:
    """Return the function that takes a record's bytes apart into those of its fields.

    It reads them as a decoder does, uses all bytes given, and raises what a decoder raises.
    """
    inline = _inline(schema, record)

    def slow(data: bytes, at: int) -> list[bytes]:
        pieces = []
        for field in inline:
            start = at
            _, at = field.call(data, at)
            pieces.append(data[start:at])
        if at != len(data):
            raise Malformed(f"there are {len(data)} bytes, and the fields take {at}")
        return pieces

    return compile_splitter(schema, inline, slow)


def _type(schema: Schema, type_: Type) -> Decode:
    match type_:
        case Reference():
            return _type(schema, schema.resolve(type_))
        case Primitive() | Fixed():
            return _logical(type_)
        case Enum(_, _, symbols):
            return _enum(symbols)
        case Array(items):
            return _array(_type(schema, items))
        case Map(values):
            return _map(_type(schema, values))
        case Union(branches):
            return _union([_type(schema, branch) for branch in branches])
        case Record() as record:
            return _compiled(schema, record)


def _compiled(schema: Schema, record: Record) -> Decode:
    inline = _inline(schema, record)
    slow = _record([(field.name, field.call) for field in inline])
    return compile_decoder(schema, inline, slow)


def _inline(schema: Schema, record: Record) -> list[Inline]:
    inline = []
    for field in record.fields:
        type_ = schema.resolve(field.type)
        found = logical(type_) if isinstance(type_, Primitive) else None
        convert = found.read if found else None
        inline.append(Inline(field.name, field.type, _type(schema, field.type), convert))
    return inline


def _logical(type_: Primitive | Fixed) -> Decode:
    base = _PRIMITIVES[type_.kind] if isinstance(type_, Primitive) else _fixed(type_.size)
    found = logical(type_)
    if found is None:
        return base
    read = found.read

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        plain, at = base(data, at)
        return read(plain), at

    return decode


def _null(data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at : at + 1]
    if byte == b"\x01":
        return True, at + 1
    if byte == b"\x00":
        return False, at + 1
    raise Malformed("a boolean is neither 0 nor 1")


def _real(layout: struct.Struct) -> Decode:
    size = layout.size

    def decode(data: bytes, at: int) -> tuple[float, int]:
        if at + size > len(data):
            raise Malformed("the bytes end within a number")
        number: float = layout.unpack_from(data, at)[0]
        return number, at + size

    return decode


def _string(data: bytes, at: int) -> tuple[str, int]:
    size, at = read_long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise Malformed(f"a length of {size} bytes goes past the end")
    return data[at:end].decode(), end


def _fixed(size: int) -> Decode:
    def decode(data: bytes, at: int) -> tuple[bytes, int]:
        if at + size > len(data):
            raise Malformed(f"{size} bytes go past the end")
        return data[at : at + size], at + size

    return decode


def _enum(symbols: Sequence[str]) -> Decode:
    count = len(symbols)

    def decode(data: bytes, at: int) -> tuple[str, int]:
        index, at = read_index(data, at, count)
        return symbols[index], at

    return decode


def _array(item: Decode) -> Decode:
    def decode(data: bytes, at: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        while True:
            count, at = read_block(data, at)
            if count == 0:
                return values, at
            if len(values) + count > MAX_ITEMS:
                raise Malformed(f"more than {MAX_ITEMS} items")
            for _ in range(count):
                value, at = item(data, at)
                values.append(value)

    return decode


def _map(item: Decode) -> Decode:
    def decode(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        total = 0
        while True:
            count, at = read_block(data, at)
            if count == 0:
                return values, at
            total += count
            if total > MAX_ITEMS:
                raise Malformed(f"more than {MAX_ITEMS} items")
            for _ in range(count):
                name, at = _string(data, at)
                if name in values:
                    raise Malformed("a map has the same name twice")
                values[name], at = item(data, at)

    return decode


def _union(branches: Sequence[Decode]) -> Decode:
    count = len(branches)

    def decode(data: bytes, at: int) -> tuple[Any, int]:
        index, at = read_index(data, at, count)
        return branches[index](data, at)

    return decode


def _record(fields: Sequence[tuple[str, Decode]]) -> Decode:
    def decode(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        record = {}
        for name, field in fields:
            record[name], at = field(data, at)
        return record, at

    return decode


_PRIMITIVES: dict[str, Decode] = {
    "null": _null,
    "boolean": _boolean,
    "int": read_int,
    "long": read_long,
    "float": _real(_FLOAT),
    "double": _real(_DOUBLE),
    "bytes": read_bytes,
    "string": _string,
}
