"""What a dead letter and a re-driven event look like: records to values and back. Pure.

`docs/wire.md`, "Dead letters" and "Re-driven events", says the same in words.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bus.event import BAD_BATCH, Redriven, member_of, write_time
from bus.kafka import Fetched, Record

LARGEST_LETTER = 2 * 2**20
"""A record of the largest size has to fit together with what is written beside it."""

LARGEST_REDRIVEN = LARGEST_LETTER + 2**16
"""A letter of the largest size has to fit together with where it was."""

DETAIL_BYTES = 1000
MOST_EARLIER = 20
"""Earlier letters of an event that a letter names; the oldest are left out."""

_DEAD, _REDRIVE = "dead.", "redrive."
_FIRST_OF_LETTER, _FIRST_OF_REDRIVEN = "stadtbus-dead-reason", "stadtbus-redrive-group"

Headers = Sequence[tuple[str, bytes]]


def dead_topic(member: str, topic: str) -> str:
    """Return the topic that holds what a member's subscribers refused of another topic."""
    return f"{_DEAD}{member}.{topic}"


def redrive_topic(member: str, topic: str) -> str:
    """Return the topic on which a member's subscribers get events of another topic once more."""
    return f"{_REDRIVE}{member}.{topic}"


def event_topic(topic: str) -> str:
    """Return whose events a dead letter topic holds; empty if it is none."""
    # A member's id has three parts; docs/wire.md, "Names".
    parts = topic.split(".", 4)
    return parts[4] if is_dead_topic(topic) and len(parts) == 5 else ""


def is_dead_topic(topic: str) -> bool:
    """Whether a topic holds dead letters."""
    return topic.startswith(_DEAD)


def is_redrive_topic(topic: str) -> bool:
    """Whether a topic holds re-driven events."""
    return topic.startswith(_REDRIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter.

    Args:
        topic: the dead letter topic that holds it.
        partition: its partition there, which is that of the event.
        offset: its offset there.
        at_ms: when it was appended, in milliseconds since 1970.
        key: the event's key, untouched.
        value: the event's value, untouched; None for a tombstone, or if it was left out.
        headers: the event's own headers.
        reason: a word such as ``bad-event``.
        detail: a sentence for people.
        origin: where the event was: ``<topic>/<partition>/<offset>``.
        group: who refused it.
        time: when it was refused, in RFC 3339.
        earlier: the places of earlier letters about the same event, the oldest first.
        without: what was left out because it was too large; empty if nothing was.
        sha256: the hash of a value that was left out, in hexadecimal.
    """

    topic: str
    partition: int
    offset: int
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: str
    detail: str
    origin: str
    group: str
    time: str
    earlier: tuple[str, ...]
    without: str
    sha256: str

    @property
    def place(self) -> str:
        """What the letter is called: ``<dead letter topic>/<partition>/<offset>``."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def redrive_topic(self) -> str:
        """Where it is re-driven to."""
        return _REDRIVE + self.topic.removeprefix(_DEAD)

    @property
    def hindrance(self) -> str | None:
        """Why it cannot be re-driven; None if it can."""
        if self.without:
            return f"its {self.without} was left out as too large; the event was at {self.origin}"
        if self.reason == BAD_BATCH:
            return "it stands for a whole batch that cannot be taken apart"
        member = member_of(self.group)
        if member is None or not self.topic.startswith(dead_topic(member, "")):
            return "it does not say which of the member's groups refused it"
        return None


def read_letter(record: Fetched) -> Letter:
    """Return the letter that a record of a dead letter topic is.

    What an event's publisher wrote under our headers' names stays with the event: ours come last.
    """
    start = _last(record.headers, _FIRST_OF_LETTER)
    said = {name: _text(value) for name, value in record.headers[start:]}

    def about(name: str) -> str:
        return said.get(f"stadtbus-dead-{name}", "")

    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=list(record.headers[:start]),
        reason=about("reason"),
        detail=about("detail"),
        origin=about("origin"),
        group=about("group"),
        time=about("time"),
        earlier=tuple(about("earlier").split()),
        without=about("without"),
        sha256=about("sha256"),
    )


def letters(
    record: Fetched,
    reason: str,
    detail: str,
    group: str,
    now: datetime,
    earlier: Sequence[str] = (),
) -> Iterator[Record]:
    """Yield the dead letter of a record, then smaller ones, in case it is above a limit.

    What is left out is named in ``stadtbus-dead-without``; of the value, size and hash are kept.

    Args:
        record: what is refused, as it was on its own topic.
        reason, detail: why.
        group: who refuses it.
        now: the time.
        earlier: the places of earlier letters about it.
    """
    own = [
        (_FIRST_OF_LETTER, reason.encode()),
        ("stadtbus-dead-detail", _cut(detail)),
        ("stadtbus-dead-origin", f"{record.topic}/{record.partition}/{record.offset}".encode()),
        ("stadtbus-dead-group", group.encode()),
        ("stadtbus-dead-time", write_time(now).encode()),
    ]
    if earlier:
        own.append(("stadtbus-dead-earlier", " ".join(earlier[-MOST_EARLIER:]).encode()))
    yield Record(record.key, record.value, [*record.headers, *own])
    added = []
    if record.value is not None:
        added = [
            ("stadtbus-dead-size", str(len(record.value)).encode()),
            ("stadtbus-dead-sha256", hashlib.sha256(record.value).hexdigest().encode()),
        ]
    without = "stadtbus-dead-without"
    yield Record(record.key, None, [*record.headers, *own, *added, (without, b"value")])
    yield Record(None, None, [*own, *added, (without, b"key, value, headers")])


def redriven(letter: Letter) -> Record:
    """Return a letter's event as it goes to the group that refused it."""
    places = [*letter.earlier, letter.place][-MOST_EARLIER:]
    return Record(
        letter.key,
        letter.value,
        [
            *letter.headers,
            (_FIRST_OF_REDRIVEN, letter.group.encode()),
            ("stadtbus-redrive-origin", letter.origin.encode()),
            ("stadtbus-redrive-letters", " ".join(places).encode()),
        ],
    )


def original(record: Fetched) -> tuple[Fetched, str, Redriven] | None:
    """Take a record of a redrive topic apart.

    Returns:
        The event's record as it was on its own topic, the group that it is for, and its history;
        None if the record is for nobody.
    """
    start = _last(record.headers, _FIRST_OF_REDRIVEN)
    said = {name: _text(value) for name, value in record.headers[start:]}
    places = tuple(said.get("stadtbus-redrive-letters", "").split())
    topic, _, rest = said.get("stadtbus-redrive-origin", "").partition("/")
    numbers = rest.split("/")
    if not (places and topic and len(numbers) == 2 and all(map(str.isdecimal, numbers))):
        return None
    event = record._replace(
        topic=topic,
        partition=int(numbers[0]),
        offset=int(numbers[1]),
        headers=list(record.headers[:start]),
    )
    return event, said[_FIRST_OF_REDRIVEN], Redriven(f"{topic}/{rest}", places)


def _last(headers: Headers, name: str) -> int:
    """Return the index of the last header of a name; behind all of them if there is none."""
    there = (index for index in reversed(range(len(headers))) if headers[index][0] == name)
    return next(there, len(headers))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")


def _cut(detail: str) -> bytes:
    """Return a detail of bounded length that is whole UTF-8."""
    data = detail.encode(errors="backslashreplace")[:DETAIL_BYTES]
    return data.decode(errors="ignore").encode()
