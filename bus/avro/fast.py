"""The quick way through a record: one function, written out for its fields and compiled once.

It takes what is right and common, in a straight line, without a call for each field. Anything
else, wrong or only rare, goes to the function of `bus.avro.encode` or `bus.avro.decode` that does
the same field by field and says what is wrong; so this module decides nothing, it only saves time.

What is compiled holds names of fields only as literals, and numbered variables; no name from a
schema becomes code.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from bus.avro.guard import read_int, read_long
from bus.avro.types import Enum, Primitive, Schema, Type, Union

Code = list[str]

_SHORT = 2048
_LENGTHS = tuple(
    bytes([n << 1]) if n < 64 else bytes([(n << 1) & 0x7F | 0x80, n >> 6]) for n in range(_SHORT)
)
_DOUBLE = struct.Struct("<d")


class Inline(NamedTuple):
    """A field as the compiled function sees it."""

    name: str
    type: Type
    call: Callable[..., Any]
    convert: Callable[[Any], Any] | None


def compile_encoder(
    schema: Schema, fields: Sequence[Inline], slow: Callable[[Any], bytes]
) -> Callable[[Any], bytes]:
    """Return a record's encoder; ``slow`` does the same and is asked where this one gives up."""
    scope: dict[str, Any] = {"slow": slow, "lengths": _LENGTHS, "pack": _DOUBLE.pack}
    body: Code = []
    for number, field in enumerate(fields):
        scope[f"call{number}"] = field.call
        body.append(f"v = value[{field.name!r}]")
        body += _encode(schema, field.type, number, scope)
    parts = ", ".join(f"p{number}" for number in range(len(fields)))
    lines = [
        "def encode(value):",
        "    try:",
        f"        if type(value) is not dict or len(value) != {len(fields)}: return slow(value)",
        *(f"        {line}" for line in body),
        "    except Exception:",
        "        return slow(value)",
        f"    return b''.join(({parts},))" if fields else "    return b''",
    ]
    compiled: Callable[[Any], bytes] = _compiled(lines, scope, "encode")
    return compiled


def _encode(schema: Schema, type_: Type, number: int, scope: dict[str, Any]) -> Code:
    """Return the lines that turn ``v`` into ``p<number>``."""
    part = f"p{number}"
    match schema.resolve(type_):
        case Union((Primitive("null"), Primitive("string", attributes))) if not attributes:
            return [
                f"if v is None: {part} = b'\\x00'",
                "elif type(v) is str:",
                "    b = v.encode(); n = len(b)",
                f"    {part} = b'\\x02' + lengths[n] + b",
                f"else: {part} = call{number}(v)",
            ]
        case Union((Primitive("null"), Primitive("double", attributes))) if not attributes:
            return [
                f"if v is None: {part} = b'\\x00'",
                f"else: {part} = b'\\x02' + pack(v) if type(v) is float else call{number}(v)",
            ]
        case Primitive("string", attributes) if not attributes:
            return [
                "if type(v) is not str: return slow(value)",
                f"b = v.encode(); {part} = lengths[len(b)] + b",
            ]
        case Primitive("double", attributes) if not attributes:
            return [f"{part} = pack(v) if type(v) is float else call{number}(v)"]
        case Primitive("int", {"logicalType": "date"}):
            # Few days, many events: each is worked out once.
            scope[f"call{number}"] = lru_cache(4096)(scope[f"call{number}"])
        case Enum(_, _, symbols) if len(symbols) <= 64:
            scope[f"known{number}"] = {s: bytes([i << 1]) for i, s in enumerate(symbols)}
            return [f"{part} = known{number}[v]"]
    return [f"{part} = call{number}(v)"]


def compile_decoder(
    schema: Schema, fields: Sequence[Inline], slow: Callable[[bytes, int], tuple[Any, int]]
) -> Callable[[bytes, int], tuple[Any, int]]:
    """Return a record's decoder; ``slow`` does the same and is asked where this one gives up.

    A slice past the end does not fail: the position behind the record then is past the end, too,
    and whoever called sees it.
    """
    scope, body = _readers(schema, fields)
    items = ", ".join(f"{field.name!r}: v{number}" for number, field in enumerate(fields))
    lines = [
        "def decode(data, at):",
        "    start = at",
        "    try:",
        *(f"        {line}" for part in body for line in part),
        "        pass",
        "    except Exception:",
        "        return slow(data, start)",
        f"    return {{{items}}}, at",
    ]
    compiled: Callable[[bytes, int], tuple[Any, int]] = _compiled(
        lines, scope | {"slow": slow}, "decode"
    )
    return compiled


def compile_splitter(
    schema: Schema, fields: Sequence[Inline], slow: Callable[[bytes, int], list[bytes]]
) -> Callable[[bytes], list[bytes]]:
    """Return what takes a record's bytes apart into its fields', which it reads as a decoder does.

    ``slow`` does the same from a position on, and is asked where this one gives up, or where bytes
    are missing or left over.
    """
    scope, body = _readers(schema, fields)
    ends = [f"e{number}" for number in range(len(fields))]
    pieces = [f"data[{a}:{b}]" for a, b in zip(["0", *ends], ends, strict=False)]
    lines = [
        "def split(data):",
        "    start = at = 0",
        "    try:",
        *(
            f"        {line}"
            for number, part in enumerate(body)
            for line in (*part, f"e{number} = at")
        ),
        "        pass",
        "    except Exception:",
        "        return slow(data, start)",
        "    if at != len(data): return slow(data, start)",
        f"    return [{', '.join(pieces)}]",
    ]
    compiled: Callable[[bytes], list[bytes]] = _compiled(lines, scope | {"slow": slow}, "split")
    return compiled


def _readers(schema: Schema, fields: Sequence[Inline]) -> tuple[dict[str, Any], list[Code]]:
    """Return the lines that read each field into a variable, and what they refer to."""
    scope: dict[str, Any] = {
        "read_long": read_long,
        "read_int": read_int,
        "unpack": _DOUBLE.unpack_from,
    }
    body = []
    for number, field in enumerate(fields):
        scope[f"call{number}"], scope[f"convert{number}"] = field.call, field.convert
        body.append(_decode(schema, field, f"v{number}", number, scope))
    return scope, body


_TEXT = (
    "n = data[at]; at += 1",
    "if n & 0x81:",
    "    n, at = read_long(data, at - 1)",
    "    if n < 0: return slow(data, start)",
    "else: n >>= 1",
    "end = at + n",
)


def _decode(schema: Schema, field: Inline, into: str, number: int, scope: dict[str, Any]) -> Code:
    """Return the lines that read a value at ``at`` into a variable."""
    match schema.resolve(field.type):
        case Union(
            (Primitive("null"), Primitive("string" | "double" | "long", attributes) as inner)
        ) if not attributes:
            lines = _decode(schema, field._replace(type=inner), into, number, scope)
            return [
                "n = data[at]; at += 1",
                f"if n == 0: {into} = None",
                "elif n == 2:",
                *(f"    {line}" for line in lines),
                "else: return slow(data, start)",
            ]
        case Primitive("string", attributes) if not attributes:
            return [*_TEXT, f"{into} = data[at:end].decode(); at = end"]
        case Primitive("int" | "long" as kind) if field.convert is None:
            return _number(kind, into)
        case Primitive("int" | "long" as kind):
            return [*_number(kind, into), f"{into} = convert{number}({into})"]
        case Primitive("double", attributes) if not attributes:
            return [f"{into} = unpack(data, at)[0]; at += 8"]
        case Enum(_, _, symbols) if len(symbols) <= 64:
            scope[f"symbols{number}"] = symbols
            return [
                "n = data[at]; at += 1",
                "if n & 1: return slow(data, start)",
                f"{into} = symbols{number}[n >> 1]",
            ]
    return [f"{into}, at = call{number}(data, at)"]


def _number(kind: str, into: str) -> Code:
    """Return the lines that read a number; up to three bytes without a call, none of them idle."""
    return [
        "n = data[at]; at += 1",
        "if n & 0x80:",
        "    m = data[at]",
        "    if 0 < m < 0x80: n += (m << 7) - 0x80; at += 1",
        "    elif m & 0x80 and 0 < (l := data[at + 1]) < 0x80:",
        "        n += (m << 7) + (l << 14) - 0x4080; at += 2",
        f"    else: n, at = read_{kind}(data, at - 1); n = n << 1 ^ n >> 63",
        f"{into} = (n >> 1) ^ -(n & 1)",
    ]


def _compiled(lines: Code, scope: dict[str, Any], name: str) -> Any:
    code = compile("\n".join(lines), "<record of a schema>", "exec")
    exec(code, scope)  # noqa: S102  # made of literals and numbered variables alone
    return scope[name]
