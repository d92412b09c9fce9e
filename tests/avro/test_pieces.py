"""A record's bytes taken apart: nothing is lost, and nothing wrong gets through."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.avro.codec import BAD_DATA, Codec
from bus.avro.pieces import Pieces
from bus.errors import InvalidSchema, UndecodableEvent
from tests.trust.samples import PROJECTION, event

SCHEMA = PROJECTION.text
DATA = event().data or b""


def test_joined_they_are_the_record_again() -> None:
    pieces = Pieces(SCHEMA)
    found = pieces.split(DATA)
    assert b"".join(found) == DATA
    assert len(found) == len(pieces.names)
    assert dict(zip(pieces.names, found, strict=True))["id"] == b"\x021"
    assert Pieces({"type": "record", "name": "R", "fields": []}).split(b"") == []


def refusal(read: Any, data: bytes) -> str | None:
    """Return the reason why bytes are refused; None if they are not."""
    try:
        read(data)
    except UndecodableEvent as error:
        return error.reason
    return None


@given(st.integers(0, len(DATA) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_whatever_a_decoder_refuses_is_refused(at: int, inserted: bytes, removed: int) -> None:
    changed = DATA[:at] + inserted + DATA[at + removed :]
    pieces = Pieces(SCHEMA)
    refused = refusal(pieces.split, changed)
    assert refused == refusal(Codec(SCHEMA).decode, changed)
    assert refused in (None, BAD_DATA)
    if refused is None:
        assert b"".join(pieces.split(changed)) == changed


@pytest.mark.parametrize("schema", ["string", {"type": "array", "items": "int"}])
def test_only_a_record_has_pieces(schema: Any) -> None:
    with pytest.raises(InvalidSchema, match="is a record"):
        Pieces(schema)
