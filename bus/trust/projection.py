"""A contract's schema as it is signed and as feeds have it; data of the one made data of the other.

In a feed's schema each field may be null, which says that it was withheld. Null comes last in its
union, so what a field's bytes mean stays what they meant at the source, and they are copied, never
written anew. A field that may be null already keeps its type; the event's headers tell what was
withheld. The schema is the same for all recipients, and follows from the contract's alone.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from bus.avro.canonical import canonical
from bus.avro.encode import long
from bus.avro.pieces import Pieces
from bus.avro.types import Primitive, Schema, Type, Union
from bus.errors import NotVerified
from bus.trust.reasons import Reason

FINGERPRINT = "stadtbus.source"
"""The attribute of a feed's schema that names the schema it was made from."""


class Projection:
    """One version of a contract, for whoever signs, checks or passes on its events.

    Args:
        schema: the contract's schema: JSON text, or the value that such text stands for.

    Raises:
        InvalidSchema: it is no Avro, no record, or it or the feed's schema goes past the limits.
    """

    def __init__(self, schema: Any) -> None:
        self._source = Pieces(schema)
        parsed = self._source.schema
        self.names = self._source.names
        self.text = canonical(parsed)
        self.fingerprint = sha256(self.text.encode()).digest()
        self._slots = [_slot(parsed, field.type) for field in self._source.fields]
        self.feed: Any = _feed(parsed.source, self._slots, self.fingerprint)
        self._feed = Pieces(self.feed)

    def split(self, data: bytes) -> list[bytes]:
        """Return the bytes of each field of the source's data.

        Raises:
            UndecodableEvent: it is not what the schema says.
        """
        return self._source.split(data)

    def join(self, contents: Sequence[bytes | None]) -> bytes:
        """Return a feed's data from the bytes of each field; None where it is withheld."""
        return b"".join(
            [
                slot.withheld if content is None else slot.prefix + content
                for slot, content in zip(self._slots, contents, strict=True)
            ]
        )

    def split_feed(self, data: bytes, given: Sequence[bool]) -> list[bytes | None]:
        """Return the bytes that each field had at the source; None for those that were withheld.

        Args:
            data: of a feed's event.
            given: of each field, whether it was given.

        Raises:
            UndecodableEvent: it is not what the feed's schema says.
            NotVerified: a field that was withheld has a value, or one that was given has none.
        """
        pieces = self._feed.split(data)
        rows = zip(self.names, self._slots, pieces, given, strict=True)
        return [_content(name, slot, piece, was_given) for name, slot, piece, was_given in rows]


class _Slot(NamedTuple):
    """How a field's value stands in a feed: what comes before it, and what stands for no value."""

    prefix: bytes
    withheld: bytes
    nullable: bool


def _slot(schema: Schema, type_: Type) -> _Slot:
    match schema.resolve(type_):
        case Primitive("null"):
            return _Slot(b"", b"", nullable=True)
        case Union(branches):
            kinds = [branch.kind if isinstance(branch, Primitive) else "" for branch in branches]
            null = kinds.index("null") if "null" in kinds else len(branches)
            return _Slot(b"", long(null), nullable=null < len(branches))
    return _Slot(long(0), long(1), nullable=False)


def _content(name: str, slot: _Slot, piece: bytes, given: bool) -> bytes | None:
    if not given:
        if piece != slot.withheld:
            raise NotVerified("was withheld, but has a value", reason=Reason.ALTERED, where=name)
        return None
    if piece == slot.withheld and not slot.nullable:
        raise NotVerified("was given, but has no value", reason=Reason.ALTERED, where=name)
    return piece[len(slot.prefix) :]


def _feed(source: Any, slots: Sequence[_Slot], fingerprint: bytes) -> Any:
    fields = [
        field if slot.nullable else {**field, "type": _or_null(field["type"])}
        for field, slot in zip(source["fields"], slots, strict=True)
    ]
    return {**source, "fields": fields, FINGERPRINT: fingerprint.hex()}


def _or_null(type_: Any) -> list[Any]:
    return [*type_, "null"] if isinstance(type_, list) else [type_, "null"]
