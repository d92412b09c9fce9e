"""Data to bytes and back for one schema: the interface that publishers and subscribers use."""

import io
from collections.abc import Callable
from typing import Any

import fastavro

from bus.avro.decode import decoder
from bus.avro.encode import Wrong, encoder
from bus.avro.limits import admit
from bus.errors import InvalidEvent, UndecodableEvent

BAD_DATA = "bad-data"
"""The reason word for bytes that are not what their schema says."""


class Codec:
    """Encodes and decodes data of one schema.

    Args:
        schema: JSON text, or the value that such text stands for.

    Raises:
        InvalidSchema: it is no Avro, or goes past the limits for schemas.
    """

    def __init__(self, schema: Any) -> None:
        parsed = admit(schema)
        self.schema: Any = parsed.source
        self._encode = encoder(parsed)
        self._decode = decoder(parsed)

    def encode(self, datum: Any) -> bytes:
        """Return the bytes of data.

        Raises:
            InvalidEvent: the data does not fit; `where` is the path of the place, the text says
                what is there and what the schema wants.
        """
        try:
            return self._encode(datum)
        except Wrong as wrong:
            raise InvalidEvent(wrong.what, where=wrong.path) from None

    def decode(self, data: bytes) -> Any:
        """Return the data that bytes stand for; every byte has to be used.

        Raises:
            UndecodableEvent: the bytes are not what the schema says; the reason is ``bad-data``.
        """
        try:
            return self._decode(data)
        except (ValueError, OverflowError) as error:
            raise UndecodableEvent(
                f"the data is not what its schema says: {error}", reason=BAD_DATA
            ) from None


def projection(writer: Codec, reader: Any) -> Callable[[bytes], Any]:
    """Return a function that decodes what one schema wrote as another one reads it.

    Args:
        writer: the codec of the schema that the bytes were written with.
        reader: the schema to read as: missing fields get its defaults, unknown ones are left out
            (Avro specification, "Schema Resolution").
    """
    written = fastavro.parse_schema(writer.schema)
    wanted = fastavro.parse_schema(reader)

    def decode(data: bytes) -> Any:
        # fastavro trusts what it reads, so the bytes are checked by our own decoder first.
        writer.decode(data)
        try:
            return fastavro.schemaless_reader(io.BytesIO(data), written, wanted)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise UndecodableEvent(
                f"the data cannot be read as the version asked for: {error}", reason=BAD_DATA
            ) from error

    return decode
