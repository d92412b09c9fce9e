"""Checks the lengths inside a request, and drops tags that nobody knows, before kio reads it.

kio's reader reserves memory for as many items as an array says that it has, before it looks for
them: a few bytes that claim billions end the process. So every length is first held against the
bytes that are there. It also refuses tagged fields that it does not know, which KIP-482 says are to
be ignored. Encodings: Kafka's protocol guide, "Protocol Primitive Types".
"""

import dataclasses
import struct
from collections.abc import Callable, Sequence
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

MOST_ITEMS = 100_000  # of all arrays of a request: as many as there may be partitions

_CLIENT_ID_AT = 8  # after API key, version and correlation id
_I16 = struct.Struct(">h")
_I32 = struct.Struct(">i")
_SIZES = {
    "int8": 1,
    "bool": 1,
    "int16": 2,
    "uint16": 2,
    "error_code": 2,
    "int32": 4,
    "uint32": 4,
    "timedelta_i32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "timedelta_i64": 8,
    "datetime_i64": 8,
    "uuid": 16,
}

Cut = tuple[int, int, bytes]  # from where to where something is left out, and what stands instead


class LyingLength(ValueError):
    """A length that the bytes do not bear out."""


class Cuts(list[Cut]):
    """What is left out of a request.

    Attributes:
        left: how many items its arrays, and tags, it may still have. An item of two bytes is an
            object of some hundred, and takes its time to read and to answer, while others wait.
    """

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def spend(self, number: int) -> None:
        """Take note of so many items.

        Raises:
            LyingLength: there are too many.
        """
        self.left -= number
        if self.left < 0:
            raise LyingLength(f"{number} items are more than there may be beside the others")


Walk = Callable[[bytes, int, Cuts], int]  # from where something begins to where it ends


@cache
def walk(schema: Any) -> Walk:
    """Return what finds the end of a message of this class.

    The function raises `LyingLength`, IndexError or struct.error if the message is not all there.
    """
    flexible = schema.__flexible__
    fields = [field for field in dataclasses.fields(schema) if "tag" not in field.metadata]
    steps = _merged([_of_field(field, flexible) for field in fields])
    if flexible:
        tags = {
            field.metadata["tag"]: _joined(_merged([_of_field(field, flexible)]))
            for field in dataclasses.fields(schema)
            if "tag" in field.metadata
        }
        steps.append(lambda data, at, cuts: _tags(data, at, cuts, tags))
    return _joined(steps)


def clean(schema: Any, frame: bytes, most: int = MOST_ITEMS) -> tuple[bytes, int]:
    """Return a request without tags that its version does not know, and where its body begins.

    Args:
        schema: the request's class.
        frame: header and body; what follows the body is let be, as Kafka does (librdkafka ends a
            Metadata request for all topics with a byte too many).
        most: how many items all its arrays may have.

    Raises:
        LyingLength: it is not all there, or has more items.
    """
    cuts = Cuts(most)
    # The header's client id never is a compact string, whatever the version.
    header = _HEADER if schema.__header_schema__.__flexible__ else _short_bytes
    try:
        start = header(frame, _CLIENT_ID_AT, cuts)
        header_cuts = len(cuts)
        end = walk(schema)(frame, start, cuts)
    except (IndexError, struct.error) as error:
        raise LyingLength("it ends early") from error
    if end > len(frame):
        raise LyingLength("it ends early")
    if not cuts:
        return frame, start
    shift = sum(len(instead) - (to - since) for since, to, instead in cuts[:header_cuts])
    return _without(frame, cuts), start + shift


def _without(frame: bytes, cuts: Sequence[Cut]) -> bytes:
    pieces, at = [], 0
    for since, to, instead in cuts:
        pieces += [frame[at:since], instead]
        at = to
    return b"".join([*pieces, frame[at:]])


def _merged(parts: Sequence[int | Walk]) -> list[Walk]:
    """Return the parts as steps, with neighbours of fixed size made one."""
    steps: list[Walk] = []
    fixed = 0
    for part in parts:
        if isinstance(part, int):
            fixed += part
            continue
        if fixed:
            steps.append(_skip(fixed))
            fixed = 0
        steps.append(part)
    if fixed:
        steps.append(_skip(fixed))
    return steps


def _joined(steps: Sequence[Walk]) -> Walk:
    if len(steps) == 1:
        return steps[0]

    def run(data: bytes, at: int, cuts: Cuts) -> int:
        for step in steps:
            at = step(data, at, cuts)
        return at

    return run


def _skip(size: int) -> Walk:
    return lambda data, at, cuts: at + size


def _of_field(field: Any, flexible: bool) -> int | Walk:
    """Return a field's size if it is always the same, or what finds its end."""
    nullable = isinstance(field.type, UnionType)
    kind = (
        next(one for one in get_args(field.type) if one is not type(None))
        if nullable
        else field.type
    )
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        part = (
            _of_entity(item)
            if isinstance(item, type) and dataclasses.is_dataclass(item)
            else _of_primitive(field.metadata["kafka_type"], flexible)
        )
        return _array(part, flexible=flexible, nullable=nullable)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        inner = walk(kind)
        if not nullable:
            return inner
        return lambda data, at, cuts: at + 1 if data[at] > 127 else inner(data, at + 1, cuts)
    return _of_primitive(field.metadata["kafka_type"], flexible)


def _of_entity(schema: Any) -> int | Walk:
    parts = [_of_field(field, schema.__flexible__) for field in dataclasses.fields(schema)]
    if not schema.__flexible__ and all(isinstance(part, int) for part in parts):
        return sum(part for part in parts if isinstance(part, int))
    return walk(schema)


def _of_primitive(kind: str, flexible: bool) -> int | Walk:
    if kind in _SIZES:
        return _SIZES[kind]
    if flexible:
        return _compact_bytes
    return _short_bytes if kind == "string" else _long_bytes


def _short_bytes(data: bytes, at: int, cuts: Cuts) -> int:
    return _after(data, at + 2, _I16.unpack_from(data, at)[0])


def _long_bytes(data: bytes, at: int, cuts: Cuts) -> int:
    return _after(data, at + 4, _I32.unpack_from(data, at)[0])


def _compact_bytes(data: bytes, at: int, cuts: Cuts) -> int:
    size, at = _uvarint(data, at)
    return _after(data, at, size - 1)


def _after(data: bytes, at: int, size: int) -> int:
    if size > len(data) - at:
        raise LyingLength(f"{size} bytes are announced and {len(data) - at} are there")
    return at + max(size, 0)


def _array(item: int | Walk, *, flexible: bool, nullable: bool) -> Walk:
    def count(data: bytes, at: int, cuts: Cuts) -> tuple[int, int]:
        if flexible:
            number, at = _uvarint(data, at)
            number -= 1
        else:
            number, at = _I32.unpack_from(data, at)[0], at + 4
        if number < 0 and not nullable:
            raise LyingLength("an array is null where none may be")
        if number > len(data) - at:
            raise LyingLength(f"an array of {number} items")
        cuts.spend(max(number, 0))
        return number, at

    def fixed(data: bytes, at: int, cuts: Cuts) -> int:
        number, at = count(data, at, cuts)
        return at + max(number, 0) * size

    def each(data: bytes, at: int, cuts: Cuts) -> int:
        number, at = count(data, at, cuts)
        for _ in range(number):
            at = step(data, at, cuts)
        return at

    if isinstance(item, int):
        size = item
        return fixed
    step = item
    return each


def _tags(data: bytes, at: int, cuts: Cuts, known: dict[int, Walk]) -> int:
    since = at
    number, at = _uvarint(data, at)
    cuts.spend(number)
    kept = []
    for _ in range(number):
        first = at
        tag, at = _uvarint(data, at)
        size, at = _uvarint(data, at)
        end = _after(data, at, size)
        if tag in known:
            inner = Cuts(cuts.left)
            past = known[tag](data, at, inner) > end
            cuts.left = inner.left
            if past:
                raise LyingLength(f"tag {tag} goes past its end")
            kept.append(data[first:end])
        at = end
    if len(kept) < number:
        # So few are known that their number takes one byte.
        cuts.append((since, at, b"".join([bytes([len(kept)]), *kept])))
    return at


def _uvarint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while byte >= 128:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        shift += 7
        if shift > 35:
            raise LyingLength("a number is longer than five bytes")
    return value, at + 1


_HEADER = _joined([_short_bytes, lambda data, at, cuts: _tags(data, at, cuts, {})])
