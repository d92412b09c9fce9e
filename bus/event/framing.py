"""A record's value: the schema's id before the Avro data."""

import struct

from bus.errors import UndecodableEvent

BAD_FRAME = "bad-frame"

_FRAME = struct.Struct(">bI")


def frame(schema_id: int, body: bytes) -> bytes:
    """Return a record's value: the byte 0, the schema's id in four bytes, the Avro data."""
    return _FRAME.pack(0, schema_id) + body


def unframe(value: bytes) -> tuple[int, bytes]:
    """Return the schema id and the Avro data of a record's value.

    Raises:
        UndecodableEvent: it is too short, or begins with another byte than 0.
    """
    if len(value) < _FRAME.size:
        raise UndecodableEvent(
            f"the value has {len(value)} bytes, its frame alone takes {_FRAME.size}",
            reason=BAD_FRAME,
        )
    if value[0] != 0:
        hint = " (a schema id in a header)" if value[0] == 1 else ""
        raise UndecodableEvent(
            f"the value begins with byte {value[0]}{hint}, not with 0", reason=BAD_FRAME
        )
    schema_id: int = _FRAME.unpack_from(value)[1]
    return schema_id, value[_FRAME.size :]
