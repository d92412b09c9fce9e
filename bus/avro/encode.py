"""Data to Avro bytes: one function for each type of a schema, made once.

Strict where Python is lenient: a bool is no number, a name that the schema does not know is
refused, a number has to fit. What is wrong is raised as `Wrong`, with the path of the place.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bus.avro.fast import Inline, compile_encoder
from bus.avro.logical import Logical, Unfit, logical
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
)
from bus.errors import nearest

Encode = Callable[[Any], bytes]

_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_BOOLEANS = {True: b"\x01", False: b"\x00"}


class Wrong(ValueError):
    """Data that does not fit: what is wrong, and the path of the place, innermost step first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.steps: list[str] = []

    @property
    def path(self) -> str:
        """The place, such as ``addresses[2].postcode``."""
        return "".join(reversed(self.steps)).removeprefix(".")


def _varint(number: int) -> bytes:
    data = bytearray()
    while number >= 0x80:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)


_SMALL = tuple(_varint(number) for number in range(2048))


def long(number: int) -> bytes:
    """Return a number of at most 64 bits as a zigzag varint."""
    zigzag = (number << 1) ^ (number >> 63)
    return _SMALL[zigzag] if zigzag < 2048 else _varint(zigzag)


def encoder(schema: Schema) -> Encode:
    """Return the function that encodes data of a schema without recursion."""
    return _Compiler(schema).of(schema.root)


class _Compiler:
    def __init__(self, schema: Schema, *, plain: bool = False) -> None:
        self._schema = schema
        self._plain = plain  # as in a schema's defaults: JSON values, logical types unknown

    def of(self, type_: Type) -> Encode:
        match type_:
            case Reference():
                return self.of(self._schema.resolve(type_))
            case Primitive(kind):
                return self._logical(type_, _PLAIN_JSON.get(kind) if self._plain else None)
            case Fixed(_, _, size):
                return self._logical(type_, _latin(size) if self._plain else None)
            case Enum(_, _, symbols):
                return _enum(symbols)
            case Array(items):
                return _array(self.of(items))
            case Map(values):
                return _map(self.of(values))
            case Union(branches):
                return _union([(self._python(b), self.of(b)) for b in branches])
            case Record():
                return self._record(type_)

    def _logical(self, type_: Primitive | Fixed, plain: Encode | None) -> Encode:
        if plain is not None:
            return plain
        base = _PRIMITIVES[type_.kind] if isinstance(type_, Primitive) else _fixed(type_.size)
        found = None if self._plain else logical(type_)
        return base if found is None else _converted(found, base)

    def _record(self, record: Record) -> Encode:
        fields = []
        for field in record.fields:
            default = None
            if field.default is not MISSING:
                default = _Compiler(self._schema, plain=True).of(field.type)(field.default)
            fields.append((field.name, self.of(field.type), default))
        slow = _record(fields)
        if self._plain:
            return slow
        inline = [
            Inline(field.name, field.type, encode, None)
            for field, (_, encode, _) in zip(record.fields, fields, strict=True)
        ]
        return compile_encoder(self._schema, inline, slow)

    def _python(self, type_: Type) -> frozenset[type]:
        """Return the Python types that a branch of a union may be meant by."""
        type_ = self._schema.resolve(type_)
        if self._plain and not isinstance(type_, Primitive):
            kinds: tuple[type, ...] = (str, dict, list)
        elif isinstance(type_, Primitive | Fixed) and not self._plain and logical(type_):
            found = logical(type_)
            kinds = (found.python,) if found else ()
        elif isinstance(type_, Primitive):
            kinds = (*_PYTHON[type_.kind], str) if self._plain else _PYTHON[type_.kind]
        elif isinstance(type_, Array):
            kinds = (list, tuple)
        else:
            kinds = {Enum: (str,), Fixed: (bytes,)}.get(type(type_), (dict,))
        return frozenset(kinds)


def _described(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def _unfit(wanted: str, value: Any) -> Wrong:
    if value is None:
        return Wrong(f"is empty, wanted {wanted}")
    return Wrong(f"is {_described(value)}, wanted {wanted}")


def _null(value: Any) -> bytes:
    if value is not None:
        raise _unfit("nothing (None)", value)
    return b""


def _boolean(value: Any) -> bytes:
    if type(value) is not bool:
        raise _unfit("True or False", value)
    return _BOOLEANS[value]


def _int(value: Any) -> bytes:
    if type(value) is not int or not -0x80000000 <= value <= 0x7FFFFFFF:
        raise _unfit("a whole number of 32 bits", value)
    return long(value)


def _long(value: Any) -> bytes:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise _unfit("a whole number of 64 bits", value)
    return long(value)


def _real(layout: struct.Struct) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) is not float and type(value) is not int:
            raise _unfit("a number", value)
        try:
            return layout.pack(value)
        except (OverflowError, struct.error):
            raise _unfit(f"a number of {layout.size * 8} bits", value) from None

    return encode


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise _unfit("bytes", value)
    return long(len(value)) + value


def _string(value: Any) -> bytes:
    if type(value) is not str:
        raise _unfit("text", value)
    try:
        data = value.encode()
    except UnicodeEncodeError:
        raise Wrong("has half a surrogate pair in it, which no UTF-8 can carry") from None
    return long(len(data)) + data


def _latin(size: int | None) -> Encode:
    """Return the encoder of JSON's text for bytes (Avro specification, "Complex Types")."""

    def encode(value: Any) -> bytes:
        data = str(value).encode("latin-1")
        return data if size is not None else long(len(data)) + data

    return encode


def _fixed(size: int) -> Encode:
    def encode(value: Any) -> bytes:
        if type(value) is not bytes or len(value) != size:
            raise _unfit(f"{size} bytes", value)
        return value

    return encode


def _converted(found: Logical, base: Encode) -> Encode:
    write = found.write

    def encode(value: Any) -> bytes:
        try:
            plain = write(value)
        except Unfit as unfit:
            raise _unfit(str(unfit), value) from None
        return base(plain)

    return encode


def _enum(symbols: Sequence[str]) -> Encode:
    known = {symbol: long(index) for index, symbol in enumerate(symbols)}

    def encode(value: Any) -> bytes:
        # A StrEnum's member is its text.
        if not isinstance(value, str) or value not in known:
            raise _unfit(f"one of {', '.join(symbols)}", value)
        return known[value]

    return encode


def _array(item: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, list | tuple):
            raise _unfit("a list", value)
        parts = []
        for index, element in enumerate(value):
            try:
                parts.append(item(element))
            except Wrong as wrong:
                wrong.steps.append(f"[{index}]")
                raise
        return b"".join((long(len(parts)), *parts, b"\x00")) if parts else b"\x00"

    return encode


def _map(item: Encode) -> Encode:
    def encode(value: Any) -> bytes:
        if not isinstance(value, Mapping):
            raise _unfit("a dict", value)
        parts = []
        for name, element in value.items():
            try:
                parts.append(_string(name) + item(element))
            except Wrong as wrong:
                wrong.steps.append(f"{{{name}}}")
                raise
        return b"".join((long(len(parts)), *parts, b"\x00")) if parts else b"\x00"

    return encode


def _union(branches: Sequence[tuple[frozenset[type], Encode]]) -> Encode:
    by_type: dict[type, list[tuple[bytes, Encode]]] = {}
    for index, (kinds, of_branch) in enumerate(branches):
        for kind in kinds:
            by_type.setdefault(kind, []).append((long(index), of_branch))
    only = {kind: found[0] for kind, found in by_type.items() if len(found) == 1}
    wanted = " or ".join(sorted({_WORDS.get(kind, f"a {kind.__name__}") for kind in by_type}))

    def encode(value: Any) -> bytes:
        kind = type(value)
        if kind not in by_type:
            kind = next((k for k in by_type if _stands_for(value, k)), kind)
        if kind in only:
            index, branch = only[kind]
            return index + branch(value)
        first: Wrong | None = None
        for index, branch in by_type.get(kind, ()):
            try:
                return index + branch(value)
            except Wrong as wrong:  # the branch that fits is found by trying
                first = first or wrong
        raise first or _unfit(wanted, value)

    return encode


def _stands_for(value: Any, kind: type) -> bool:
    """Tell whether a value may be meant for a branch although it is of another class."""
    if kind is dict:
        return isinstance(value, Mapping)
    return isinstance(value, kind) and not isinstance(value, bool) and kind is not datetime


def _record(fields: Sequence[tuple[str, Encode, bytes | None]]) -> Encode:
    names = [name for name, _, _ in fields]
    known = frozenset(names)

    def encode(value: Any) -> bytes:
        if not isinstance(value, Mapping):
            raise _unfit("a dict of fields", value)
        parts = []
        absent = 0
        for name, field, default in fields:
            if name in value:
                try:
                    parts.append(field(value[name]))
                except Wrong as wrong:
                    wrong.steps.append(f".{name}")
                    raise
            elif default is not None:
                absent += 1
                parts.append(default)
            else:
                raise _at(name, "is missing")
        if len(value) + absent != len(fields):
            raise _unknown(value)
        return b"".join(parts)

    def _unknown(value: Mapping[Any, Any]) -> Wrong:
        name = next(str(name) for name in value if name not in known)
        return _at(name, f"is no field of the contract; {nearest(name, names)}")

    return encode


def _at(name: str, what: str) -> Wrong:
    wrong = Wrong(what)
    wrong.steps.append(f".{name}")
    return wrong


_WORDS: dict[type, str] = {
    type(None): "nothing",
    bool: "True or False",
    int: "a number",
    float: "a number",
    str: "text",
    bytes: "bytes",
    dict: "a dict",
    list: "a list",
    tuple: "a list",
}
_PRIMITIVES: dict[str, Encode] = {
    "null": _null,
    "boolean": _boolean,
    "int": _int,
    "long": _long,
    "float": _real(_FLOAT),
    "double": _real(_DOUBLE),
    "bytes": _bytes,
    "string": _string,
}
_PLAIN_JSON: dict[str, Encode] = {"bytes": _latin(None)}
_PYTHON: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "bytes": (bytes,),
    "string": (str,),
}
