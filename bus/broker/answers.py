"""Answers as bytes: small ones at once, large ones an item at a time.

An answer about 20,000 partitions takes half a second to write. So its items are made only when they
are written, and others have their turn in between.
"""

import dataclasses
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, get_args, get_origin

from kio.index import load_response_schema
from kio.serial import entity_writer

from bus.broker.keys import ApiKey
from bus.broker.wire import Each, Fields, builder, framed, has_error, write_answer
from bus.pause import Pause

FEW = 16
"""Items of a list that are written at once."""


async def encoded(
    key: ApiKey, version: int, correlation: int, fields: Fields, pause: Pause | None = None
) -> tuple[bytes, bool]:
    """Return the framed answer, and whether it says no to anything.

    Args:
        key, version: of the request.
        correlation: the request's.
        fields: those of every version; a list may be an `Each`.
        pause: called between items.
    """
    if not _long(fields):
        return write_answer(key, version, correlation, fields), has_error(fields)
    pause = pause or Pause()
    schema: Any = load_response_schema(key, version)
    writing, pieces = _Writing(), list[bytes]()
    for piece in writing.pieces(schema, fields):
        pieces.append(piece)
        await pause()
    tagged = schema.__header_schema__.__version__ > 0
    return framed(correlation, pieces, tagged=tagged), writing.refused


def _long(value: Any) -> bool:
    """Say whether an answer, or a part of it, holds a list with more than a few items."""
    if isinstance(value, Mapping):
        return any(_long(one) for one in value.values())
    if isinstance(value, list | tuple | Each):
        return len(value) > FEW or any(_long(one) for one in value)
    return False


class _Writing:
    """One answer while it is written.

    Attributes:
        refused: whether anything in it says no.
    """

    def __init__(self) -> None:
        self.refused = False

    def pieces(self, schema: Any, values: Fields) -> Iterator[bytes]:
        """Yield the bytes of a message in pieces of no more than a few items."""
        buffer, gaps = io.BytesIO(), dict[str, _Gap]()
        for name, item in _lists(schema):
            items = values.get(name)
            if items and (len(items) > FEW or any(map(_long, items))):
                gaps[name] = _Gap(buffer, item, items)
        flat = {**values, **dict.fromkeys(gaps, ())} if gaps else values
        self.refused = self.refused or has_error(flat)
        message = builder(schema)(flat)
        for name, gap in gaps.items():
            object.__setattr__(message, name, gap)
        entity_writer(schema)(buffer, message)
        data, at = buffer.getvalue(), 0
        for gap in gaps.values():
            yield data[at : gap.at]
            at = gap.at
            yield from self._each(gap) if _lists(gap.schema) else self._plain(gap)
        yield data[at:]

    def _each(self, gap: "_Gap") -> Iterator[bytes]:
        """Yield the bytes of items that may be long themselves."""
        for one in gap.items:
            yield from self.pieces(gap.schema, one)

    def _plain(self, gap: "_Gap") -> Iterator[bytes]:
        """Yield the bytes of items without lists of their own, a few at a time."""
        build, write = builder(gap.schema), entity_writer(gap.schema)
        items = iter(gap.items)
        while few := list(islice(items, FEW)):
            buffer = io.BytesIO()
            for one in few:
                self.refused = self.refused or has_error(one)
                write(buffer, build(one))
            yield buffer.getvalue()


class _Gap:
    """Stands for a list whose items are written later: it has their number, and nothing in it.

    Attributes:
        at: where they belong among the bytes, once what is around them is written.
    """

    def __init__(self, buffer: io.BytesIO, schema: Any, items: Collection[Fields]) -> None:
        self._buffer, self.schema, self.items = buffer, schema, items
        self.at = 0

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        self.at = self._buffer.tell()
        return iter(())


@cache
def _lists(schema: Any) -> Sequence[tuple[str, Any]]:
    """Return the lists of messages in a message, in the order in which they are written."""
    found = []
    for field in dataclasses.fields(schema):
        for kind in (field.type, *get_args(field.type)):
            if get_origin(kind) is tuple and "tag" not in field.metadata:
                item = get_args(kind)[0]
                if dataclasses.is_dataclass(item):
                    found.append((field.name, item))
    return found
