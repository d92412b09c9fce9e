"""What the process that compacts is asked, and what it answers: JSON, followed by bytes."""

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, NamedTuple

FRONT = struct.Struct(">II")  # bytes of JSON, and of what follows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be compacted.

    Attributes:
        partition: its number.
        start: its first offset.
        cleaned: up to here it was compacted before.
        end: what is written to now begins here.
        now: milliseconds since 1970.
        least: milliseconds that a record is left alone.
        delete_retention: milliseconds that tombstones stay.
        keys: so many of them are taken at once.
        clean: the bytes before `cleaned`.
        ratio: so much of what can be compacted must be new, or it is left alone.
    """

    partition: int
    start: int
    cleaned: int
    end: int
    now: int
    least: int
    delete_retention: int
    keys: int
    clean: int = 0
    ratio: float = 0.0


class Step(NamedTuple):
    """Adjacent rows as they were, and the one that is to stand in their place.

    Attributes:
        rows: first offset and seal of each row as it was.
        next: the offset after the last of them.
        newest: the largest time of what is left.
        unmarked: the offsets of marks that went.
        batches: what is left.
    """

    rows: tuple[tuple[int, int], ...]
    next: int
    newest: int
    unmarked: tuple[int, ...]
    batches: bytes


class Done(NamedTuple):
    """The partition is compacted up to an offset.

    Attributes:
        cleaned: the offset.
        again: when what was too young may be compacted, in milliseconds since 1970; -1 if nothing
            was.
    """

    cleaned: int
    again: int


class Failed(NamedTuple):
    """It cannot be compacted.

    Attributes:
        damaged: whether what is stored is not what was written.
    """

    reason: str
    damaged: bool


Answer = Step | Done | Failed


def send(pipe: BinaryIO, answer: Answer) -> None:
    """Write an answer."""
    fields: dict[str, Any] = answer._asdict()
    data = fields.pop("batches", b"")
    text = json.dumps([type(answer).__name__, fields]).encode()
    pipe.write(FRONT.pack(len(text), len(data)) + text)
    pipe.write(data)
    pipe.flush()


def answer_of(text: bytes, data: bytes) -> Answer:
    """Undo `send`, behind the front."""
    kind, fields = json.loads(text)
    if kind == "Step":
        rows = tuple((base, seal) for base, seal in fields.pop("rows"))
        unmarked = tuple(fields.pop("unmarked"))
        return Step(rows=rows, unmarked=unmarked, batches=data, **fields)
    return Done(**fields) if kind == "Done" else Failed(**fields)


def order_line(order: Order) -> bytes:
    """Return an order as one line."""
    return json.dumps(asdict(order)).encode() + b"\n"


def order_of(line: bytes) -> Order:
    """Undo `order_line`."""
    return Order(**json.loads(line))
