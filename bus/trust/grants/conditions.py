"""Conditions on an event's data: plain data that anybody can read, and no language. Pure.

``{"field": "cause", "is": "MOVE"}``, ``{"field": "cause", "in": ["MOVE", "BIRTH"]}``,
``{"field": "valid_from", "from": "2026-01-01", "to": "2027-01-01"}`` (from the first on, up to and
without the second; one may be missing), ``{"field": "municipality", "prefix": "0927"}``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bus.errors import InvalidGrant
from bus.trust.grants.literals import Literal, readings

MAX_VALUES = 200
MAX_TEXT = 200
"""Characters of a value, or of a field's path."""

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

_PATH = re.compile(rf"{FIELD_NAME.pattern}(?:\.{FIELD_NAME.pattern})*")


@dataclass(frozen=True, slots=True)
class Among:
    """The value is one of these."""

    field: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The value is not below `low`, and below `high`; None: no bound on that side."""

    field: str
    low: str | int | None
    high: str | int | None


@dataclass(frozen=True, slots=True)
class Begins:
    """The text begins so."""

    field: str
    prefix: str


Condition: TypeAlias = Among | Between | Begins


def read_condition(value: object, where: str) -> Condition:
    """Return a condition from JSON.

    Args:
        value: what the terms say.
        where: its place in them, for errors.

    Raises:
        InvalidGrant: it is of no known form, too large, or can never hold.
    """
    match value:
        case {"field": str(field), "is": literal, **rest} if not rest:
            return Among(_path(field, where), (_literal(literal, f"{where}.is"),))
        case {"field": str(field), "in": [*literals], **rest} if not rest:
            return Among(_path(field, where), _values(literals, f"{where}.in"))
        case {"field": str(field), "prefix": str(prefix), **rest} if not rest:
            return Begins(_path(field, where), _prefix(prefix, f"{where}.prefix"))
        case {"field": str(field), **bounds} if bounds and bounds.keys() <= {"from", "to"}:
            return _between(_path(field, where), bounds, where)
    raise InvalidGrant(
        "is no condition",
        where=where,
        remedy='give a "field" and one of "is", "in", "prefix", or "from" and "to"',
    )


def write_condition(condition: Condition) -> dict[str, Any]:
    """Return a condition as JSON; what was read from it is the same condition."""
    match condition:
        case Among(field, (one,)):
            return {"field": field, "is": one}
        case Among(field, values):
            return {"field": field, "in": list(values)}
        case Begins(field, prefix):
            return {"field": field, "prefix": prefix}
        case Between(field, low, high):
            bounds = {"from": low, "to": high}
            return {"field": field} | {k: v for k, v in bounds.items() if v is not None}


def _path(text: str, where: str) -> str:
    if len(text) > MAX_TEXT or not _PATH.fullmatch(text):
        raise InvalidGrant(
            f'"{text[:60]}" is no field\'s name',
            where=f"{where}.field",
            remedy="write it as in the schema, with dots on the way into a record: address.street",
        )
    return text


def _literal(value: object, where: str) -> Literal:
    if not isinstance(value, str | int):
        raise InvalidGrant("is neither text nor a whole number, true or false", where=where)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidGrant(f"has more than {MAX_TEXT} characters", where=where)
    return value


def _values(given: list[object], where: str) -> tuple[Literal, ...]:
    if not 1 <= len(given) <= MAX_VALUES:
        raise InvalidGrant(f"has not between 1 and {MAX_VALUES} values", where=where)
    values = tuple(_literal(one, f"{where}[{n}]") for n, one in enumerate(given))
    if len({type(one) for one in values}) > 1:
        raise InvalidGrant("has values of several types, and a field has one", where=where)
    if len(set(values)) < len(values):
        raise InvalidGrant("has a value twice", where=where)
    return values


def _prefix(text: str, where: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT:
        raise InvalidGrant(f"has not between 1 and {MAX_TEXT} characters", where=where)
    return text


def _between(field: str, bounds: Mapping[Any, object], where: str) -> Between:
    low, high = (
        _bound(bounds[name], f"{where}.{name}") if name in bounds else None
        for name in ("from", "to")
    )
    if low is not None and high is not None and not _in_order(low, high):
        raise InvalidGrant(
            f"nothing is from {low} on and below {high}",
            where=where,
            remedy="give two of one kind, the lower one first",
        )
    return Between(field, low, high)


def _bound(value: object, where: str) -> str | int:
    literal = _literal(value, where)
    if isinstance(literal, bool):
        raise InvalidGrant("is neither text nor a whole number", where=where)
    return literal


def _in_order(low: str | int, high: str | int) -> bool:
    """Whether there is something between two bounds, whatever type both stand for."""
    lows, highs = readings(low), readings(high)
    return lows.keys() == highs.keys() and all(lows[kind] < highs[kind] for kind in lows)
