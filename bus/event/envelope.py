"""The envelope of an event: a record's headers, and the names and times in them."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from bus.errors import InvalidEvent, UndecodableEvent
from bus.event.values import Draft

BAD_ENVELOPE, BAD_BATCH = "bad-envelope", "bad-batch"

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
    "stadtbus-municipality",
    "stadtbus-attestation",
    "stadtbus-grant",
    "stadtbus-state",
    "stadtbus-snapshot",
)
"""Our headers: those of a record that nobody but the bus may set."""

_MEMBER = r"[a-z]{2}\.(?:mun|assoc|dist|state|fed|agency|util)\.[a-z0-9][a-z0-9-]*"
_NAME = re.compile(rf"({_MEMBER})\.[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)*")
_HEADER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SEQUENCE = re.compile(r"[0-9a-z][0-9a-z-]{0,63}/[1-9][0-9]{0,18}")


class Envelope(NamedTuple):
    """What an event's headers say."""

    id: str
    source: str
    time: datetime
    subject: str | None
    traceparent: str | None
    sequence: str | None


def member_of(name: str) -> str | None:
    """Return the member whose system or group this is; None if it is no such name."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


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
        ValueError: it is not RFC 3339, or no time, or outside of the years 1 to 9999 in UTC.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f'"{text[:40]}" is not RFC 3339')
    time = datetime.fromisoformat(text.upper())
    try:
        return time if time.tzinfo is UTC else time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f'"{text}" is beyond the calendar') from error


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
    except ValueError as error:
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
