"""Logical types: dates, times, decimals and ids, to and from what Avro writes for them.

A value that would lose something on the way is refused: a time without its zone where the schema
means an instant, microseconds where it keeps milliseconds, digits that its scale has no room for.
A logical type that is not listed here is read and written as its plain type (Avro specification,
"Logical Types").
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any, NamedTuple
from uuid import UUID

from bus.avro.types import Fixed, Primitive

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)
_FIRST_DAY = date(1970, 1, 1).toordinal()
_MICRO = timedelta(microseconds=1)
_DAY = 86_400_000_000


class Unfit(ValueError):
    """A value that is not what the schema wants; the message says what it wants."""


class Logical(NamedTuple):
    """How a logical type is written to its plain type and read from it."""

    python: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def logical(type_: Primitive | Fixed) -> Logical | None:
    """Return the logical type of a primitive or fixed; None if it has none that is known."""
    kind = type_.kind if isinstance(type_, Primitive) else "fixed"
    name = type_.attributes.get("logicalType")
    if name == "decimal" and kind in ("bytes", "fixed"):
        return _decimal(type_.attributes, type_.size if isinstance(type_, Fixed) else None)
    return _LOGICAL.get((kind, str(name)))


def _write_date(value: Any) -> int:
    if type(value) is not date:
        raise Unfit("a date")
    return value.toordinal() - _FIRST_DAY


def _read_date(days: int) -> date:
    return date.fromordinal(days + _FIRST_DAY)


def _instant(unit: int) -> Logical:
    """Return timestamps of so many microseconds."""

    def write(value: Any) -> int:
        if type(value) is not datetime or value.tzinfo is None or value.utcoffset() is None:
            raise Unfit("a datetime with its time zone")
        since = value - _EPOCH
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return micros if unit == 1 else _whole(micros, unit)

    def read(number: int) -> datetime:
        return _EPOCH + timedelta(microseconds=number * unit)

    return Logical(datetime, write, read)


def _local(unit: int) -> Logical:
    def write(value: Any) -> int:
        if type(value) is not datetime or value.tzinfo is not None:
            raise Unfit("a datetime without time zone")
        return _whole((value - _LOCAL_EPOCH) // _MICRO, unit)

    def read(number: int) -> datetime:
        return _LOCAL_EPOCH + timedelta(microseconds=number * unit)

    return Logical(datetime, write, read)


def _clock(unit: int) -> Logical:
    def write(value: Any) -> int:
        if type(value) is not time or value.tzinfo is not None:
            raise Unfit("a time of day without time zone")
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return _whole(seconds * 1_000_000 + value.microsecond, unit)

    def read(number: int) -> time:
        if not 0 <= number * unit < _DAY:
            raise ValueError(f"{number} is no time of day")
        return (_LOCAL_EPOCH + timedelta(microseconds=number * unit)).time()

    return Logical(time, write, read)


def _whole(micros: int, unit: int) -> int:
    number, rest = divmod(micros, unit)
    if rest:
        raise Unfit("a time in whole milliseconds")
    return number


def _decimal(attributes: Mapping[str, Any], size: int | None) -> Logical:
    precision, scale = int(attributes["precision"]), int(attributes.get("scale", 0))
    wanted = f"a Decimal of at most {precision} digits, {scale} of them after the point"

    def write(value: Any) -> bytes:
        if type(value) is not Decimal or not value.is_finite():
            raise Unfit(wanted)
        with localcontext(prec=precision + 80):
            shifted = value.scaleb(scale)
        number = int(shifted)
        if number != shifted or abs(number) >= 10**precision:
            raise Unfit(wanted)
        length = size or ((number + (number < 0)).bit_length() + 8) // 8
        return number.to_bytes(length, "big", signed=True)

    def read(data: bytes) -> Decimal:
        number = int.from_bytes(data[:64], "big", signed=True)
        if len(data) > 64 or abs(number) >= 10**precision:
            raise ValueError(f"a decimal has more than {precision} digits")
        return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))

    return Logical(Decimal, write, read)


def _write_uuid(value: Any) -> str:
    if type(value) is not UUID:
        raise Unfit("a UUID")
    return str(value)


def _write_uuid_bytes(value: Any) -> bytes:
    if type(value) is not UUID:
        raise Unfit("a UUID")
    return value.bytes


_LOGICAL: dict[tuple[str, str], Logical] = {
    ("int", "date"): Logical(date, _write_date, _read_date),
    ("int", "time-millis"): _clock(1000),
    ("long", "time-micros"): _clock(1),
    ("long", "timestamp-millis"): _instant(1000),
    ("long", "timestamp-micros"): _instant(1),
    ("long", "local-timestamp-millis"): _local(1000),
    ("long", "local-timestamp-micros"): _local(1),
    ("string", "uuid"): Logical(UUID, _write_uuid, UUID),
    ("fixed", "uuid"): Logical(UUID, _write_uuid_bytes, lambda data: UUID(bytes=data)),
}
