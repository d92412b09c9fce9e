"""The event, and the wire contract: key, partition, framing and envelope as pure functions.

`docs/wire.md` is the contract in words, `docs/wire-vectors.json` in bytes; this module is both in
code. CloudEvents 1.0, Kafka protocol binding, binary mode; Confluent framing with magic byte 0.
"""

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple
from unicodedata import is_normalized, normalize
from uuid import UUID

import uuid_utils

from bus.errors import InvalidEvent, UndecodableEvent

BAD_FRAME, BAD_ENVELOPE, BAD_KEY = "bad-frame", "bad-envelope", "bad-key"
BAD_BATCH = "bad-batch"

SOURCE = "urn:stadtbus:"
CONTENT_TYPE = "application/avro"

ENVELOPE = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_datacontenttype",
    "content-type",
    "traceparent",
)
"""Headers that the library writes itself."""

OWN = "stadtbus-"
"""What the names of the bus's own headers begin with; no caller may set one."""

RESERVED = (
    "stadtbus-seq",
    "stadtbus-origin",
    "stadtbus-signature",
    "stadtbus-salts",
    "stadtbus-digests",
    "stadtbus-withheld",
    "stadtbus-attestation",
    "stadtbus-grant",
    "stadtbus-state",
    "stadtbus-snapshot",
)
"""Our headers that have a meaning now or are kept for the router."""

_MEMBER = r"[a-z]{2}\.(?:mun|assoc|dist|state|fed|agency|util)\.[a-z0-9][a-z0-9-]*"
_NAME = re.compile(rf"({_MEMBER})\.[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)*")
_HEADER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SEQUENCE = re.compile(r"[0-9a-z][0-9a-z-]{0,63}/[1-9][0-9]{0,18}")
_ESCAPE = re.compile(r"%(?!25|3A)")
_FRAME = struct.Struct(">bI")


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Position(NamedTuple):
    """Where an event lies, and since when.

    Args:
        topic: the topic that it was read from.
        partition: the partition of it.
        offset: its number in that partition.
        timestamp: when the broker appended it (UTC).
    """

    topic: str
    partition: int
    offset: int
    timestamp: datetime


class Event(NamedTuple):
    """One fact that a system announced.

    Args:
        topic: the contract's topic; also the event's type.
        key: the contract's key fields, escaped and joined: events of one key stay in order.
        data: what the contract's schema describes; None where the key's last state ends.
        id: unique for the source (a UUID, version 7 if we made it).
        source: the system that announced it, ``urn:stadtbus:<system>``.
        time: when it happened (UTC).
        subject: what it is about, where the contract names a subject.
        traceparent: W3C trace context, passed through.
        sequence: ``<publisher's incarnation>/<n>``, counted per partition; a gap is a loss.
        position: where it was read; None for an event that was not read.
    """

    topic: str
    key: str
    data: Mapping[str, Any] | None
    id: str
    source: str
    time: datetime
    subject: str | None = None
    traceparent: str | None = None
    sequence: str | None = None
    position: Position | None = None


class Envelope(NamedTuple):
    """What an event's headers say."""

    id: str
    source: str
    time: datetime
    subject: str | None
    traceparent: str | None
    sequence: str | None


class Draft(NamedTuple):
    """An event to be published; what is left out is filled in.

    Args:
        data: what the contract's schema describes.
        time: when it happened, with its time zone; now if None.
        subject: what it is about; the contract's subject field if None.
        id: a UUID; one is made if None. Give the same id when you send an event again.
        traceparent: W3C trace context to pass through.
        headers: further headers, such as CloudEvents extensions.
    """

    data: Mapping[str, Any]
    time: datetime | None = None
    subject: str | None = None
    id: str | None = None
    traceparent: str | None = None
    headers: Mapping[str, str] = _NO_HEADERS


def new_id() -> str:
    """Return a new event id (UUID version 7, RFC 9562)."""
    return str(uuid_utils.uuid7())


# Names of members, systems and groups


def member_of(name: str) -> str | None:
    """Return the member whose system or group this is; None if it is no such name."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


# Key and partition


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


# Framing


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


# Envelope


def write_time(time: datetime) -> str:
    """Return a time in RFC 3339, UTC; microseconds only where there are any.

    Raises:
        InvalidEvent: the time has no zone.
    """
    if time.tzinfo is not UTC:
        if time.utcoffset() is None:
            raise InvalidEvent(f"{time} has no time zone", where="time")
        time = time.astimezone(UTC)
    return time.isoformat()[:-6] + "Z"


@lru_cache(1024)  # what happens at once is often announced at once
def read_time(text: str) -> datetime:
    """Return a time written in RFC 3339, in UTC; digits past the microsecond are cut off.

    Raises:
        ValueError: it is not RFC 3339, or no time.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f'"{text[:40]}" is not RFC 3339')
    time = datetime.fromisoformat(text.upper())
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def unchanging(source: str, topic: str) -> list[tuple[str, bytes]]:
    """Return the headers that all events of a system on a topic share."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_source", source.encode()),
        ("ce_type", topic.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]


def changing(
    id: str,  # noqa: A002  # CloudEvents' name for it
    time: str,
    sequence: str,
    subject: str | None,
    traceparent: str | None,
) -> list[tuple[str, bytes]]:
    """Return the headers of one event."""
    headers = [
        ("ce_id", id.encode()),
        ("ce_time", time.encode()),
        ("stadtbus-seq", sequence.encode()),
    ]
    if subject is not None:
        headers.append(("ce_subject", subject.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def check_draft(draft: Draft) -> None:
    """Check what a caller sets of an envelope.

    Raises:
        InvalidEvent: the id is no UUID, the subject is empty, the trace is no W3C trace context,
            one of them is no text, the time is no datetime, or a header's name is the bus's own.
    """
    if draft.time is not None and not isinstance(draft.time, datetime):
        raise InvalidEvent(f"is {type(draft.time).__name__}, wanted a datetime", where="time")
    if draft.id is not None and not isinstance(draft.id, str):
        raise InvalidEvent(f"is {type(draft.id).__name__}, wanted its text", where="id")
    if draft.traceparent is not None and not isinstance(draft.traceparent, str):
        what = f"is {type(draft.traceparent).__name__}, wanted text"
        raise InvalidEvent(what, where="traceparent")
    if draft.id is not None and not _UUID.fullmatch(draft.id):
        raise InvalidEvent(f'"{draft.id}" is no UUID in lower case', where="id")
    if draft.subject is not None and not (draft.subject and _is_text(draft.subject)):
        raise InvalidEvent("is empty or no text that UTF-8 can carry", where="subject")
    if draft.traceparent is not None and not _TRACE.fullmatch(draft.traceparent):
        raise InvalidEvent(f'"{draft.traceparent}" is no W3C trace context', where="traceparent")
    for name, value in draft.headers.items():
        if name in ENVELOPE or name.startswith(OWN):
            raise InvalidEvent("this header is the bus's own", where=f"headers.{name}")
        if not _HEADER.fullmatch(name) or not _is_text(value):
            raise InvalidEvent(
                "a header's name is a-z, 0-9, _ and -, its value is text", where=f"headers.{name}"
            )


def read_envelope(topic: str, headers: Sequence[tuple[str, bytes | None]]) -> Envelope:
    """Return what a record's headers say.

    Args:
        topic: the contract's topic, which ``ce_type`` has to name.
        headers: the record's headers.

    Raises:
        UndecodableEvent: a header is missing, there twice, or does not keep to the wire contract.
    """
    found = dict(headers)
    if len(found) != len(headers):
        _refuse_twice(headers)
    try:
        id_ = found["ce_id"].decode()  # type: ignore[union-attr]  # None is caught below
        source = _source(found["ce_source"])
        type_, time = found["ce_type"], found["ce_time"].decode()  # type: ignore[union-attr]
        version, content = found["ce_specversion"], found.get("content-type")
        subject = _optional(found, "ce_subject")
        traceparent = _optional(found, "traceparent")
        sequence = _optional(found, "stadtbus-seq")
        at = read_time(time)
    except KeyError as error:
        raise _bad(f"header {error.args[0]} is missing") from None
    except (UnicodeDecodeError, AttributeError):
        raise _bad("a header's value is no UTF-8") from None
    except (ValueError, OverflowError) as error:
        raise _bad(f"ce_time is no time: {error}") from None
    if content != b"application/avro":
        _check_content(content if content is not None else found.get("ce_datacontenttype"))
    if version != b"1.0":
        raise _bad(f"ce_specversion is {version!r}, not 1.0")
    if type_ != topic.encode():
        raise _bad(f"ce_type is {type_!r}, not the topic's name")
    if not _UUID.fullmatch(id_):
        raise _bad(f'ce_id "{id_[:64]}" is no UUID in lower case')
    if sequence is not None and not _SEQUENCE.fullmatch(sequence):
        raise _bad(f'stadtbus-seq "{sequence[:96]}" is not <incarnation>/<number from 1>')
    if traceparent is not None and not _TRACE.fullmatch(traceparent):
        # W3C Trace Context, "traceparent Header": a value that cannot be read is ignored.
        traceparent = None
    return Envelope(id_, source, at, subject, traceparent, sequence)


@lru_cache(1024)  # few systems, many events
def _source(value: bytes | None) -> str:
    source = value.decode()  # type: ignore[union-attr]  # None is caught where this is called
    if not source.startswith(SOURCE) or member_of(source[len(SOURCE) :]) is None:
        raise _bad(f'ce_source "{source[:128]}" is not {SOURCE}<system>')
    return source


def _optional(found: Mapping[str, bytes | None], name: str) -> str | None:
    value = found.get(name)
    return None if value is None else value.decode()


def _check_content(content: bytes | None) -> None:
    given = (content or b"").decode("latin-1").lower()
    if given.startswith("application/cloudevents"):
        raise _bad("it is a structured CloudEvent; only binary mode is read here")
    if given.partition(";")[0].strip() != CONTENT_TYPE:
        raise _bad(f'content-type is "{given[:64]}", not {CONTENT_TYPE}')


def _refuse_twice(headers: Sequence[tuple[str, bytes | None]]) -> None:
    names = [name for name, _ in headers]
    for name in (*ENVELOPE, *RESERVED):
        if names.count(name) > 1:
            raise _bad(f"header {name} is there twice")


def _bad(what: str) -> UndecodableEvent:
    return UndecodableEvent(what, reason=BAD_ENVELOPE)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
