"""The key of an event, and the partition that it leads to."""

import re
import struct
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Any
from unicodedata import is_normalized, normalize
from uuid import UUID

from bus.errors import InvalidEvent, UndecodableEvent

BAD_KEY = "bad-key"

_ESCAPE = re.compile(r"%(?!25|3A)")


def key_of(values: Iterable[Any]) -> str:
    """Return the key of key fields' values: NFC, ``%`` and ``:`` escaped, joined with ``:``.

    Raises:
        InvalidEvent: a value is empty, or of a type that has no text of its own.
    """
    return ":".join([_key_part(value) for value in values])


def _key_part(value: Any) -> str:
    if isinstance(value, str | UUID) or type(value) is int:
        text = str(value)
    elif type(value) is date:
        text = value.isoformat()
    else:
        raise InvalidEvent(f"is {type(value).__name__}, which cannot be part of a key")
    if not text:
        raise InvalidEvent("is empty, but part of the key")
    plain = text.isascii()
    if not plain:
        text = normalize("NFC", text)
    if "%" in text or ":" in text:
        text = text.replace("%", "%25").replace(":", "%3A")
        if not plain and not is_normalized("NFC", text):
            raise InvalidEvent("has a combining mark after a colon, which no key can carry")
    return text


def split_key(key: str) -> tuple[str, ...]:
    """Return the texts of the key fields, unescaped."""
    return tuple(part.replace("%3A", ":").replace("%25", "%") for part in key.split(":"))


def read_key(key: bytes | None) -> str:
    """Return the key of a record.

    Raises:
        UndecodableEvent: it is missing, empty, no UTF-8, not NFC or wrongly escaped.
    """
    if not key:
        raise UndecodableEvent("the record has no key", reason=BAD_KEY)
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise UndecodableEvent(f"the key is no UTF-8: {error.reason}", reason=BAD_KEY) from None
    if not text.isascii() and not is_normalized("NFC", text):
        raise UndecodableEvent("the key is not in Unicode's form NFC", reason=BAD_KEY)
    if "%" in text and _ESCAPE.search(text):
        raise UndecodableEvent("the key has % that is neither %25 nor %3A", reason=BAD_KEY)
    if text[0] == ":" or text[-1] == ":" or "::" in text:
        raise UndecodableEvent("a part of the key is empty", reason=BAD_KEY)
    return text


@lru_cache(32_768)  # a key rarely has one event alone, and the hash is slow in Python
def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key: Kafka's murmur2 of its UTF-8, as the Java client takes it."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 hash (``org.apache.kafka.common.utils.Utils``), as 32 bits."""
    length = len(data)
    h = 0x9747B28C ^ length
    words = length >> 2
    for word in struct.unpack_from(f"<{words}I", data):
        k = word * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 ^ (k ^ k >> 24) * 0x5BD1E995) & 0xFFFFFFFF
    if rest := data[words << 2 :]:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ h >> 15
