"""A record's bytes taken apart into those of its fields, without changing one of them."""

from typing import Any

from bus.avro.codec import BAD_DATA
from bus.avro.decode import splitter
from bus.avro.limits import admit
from bus.avro.types import Field, Record
from bus.errors import InvalidSchema, UndecodableEvent


class Pieces:
    """Takes data of one schema apart, and checks it on the way as a decoder does.

    Args:
        schema: JSON text, or the value that such text stands for.

    Raises:
        InvalidSchema: it is no Avro, goes past the limits for schemas, or is no record.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = admit(schema)
        root = self.schema.root
        if not isinstance(root, Record):
            raise InvalidSchema("an event's data is a record; only that can be taken apart")
        self.fields: tuple[Field, ...] = root.fields
        self.names = tuple(field.name for field in root.fields)
        self._split = splitter(self.schema, root)

    def split(self, data: bytes) -> list[bytes]:
        """Return the bytes of each top-level field, in the schema's order.

        Raises:
            UndecodableEvent: the bytes are not what the schema says; the reason is ``bad-data``.
        """
        try:
            return self._split(data)
        except (ValueError, OverflowError) as error:
            raise UndecodableEvent(
                f"the data is not what its schema says: {error}", reason=BAD_DATA
            ) from None
