"""Conditions put to work: a predicate on decoded data, and what each says in words. Pure.

A value that is missing or null matches nothing, and one of another type neither.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from bus.trust.grants.conditions import Among, Begins, Between, Condition
from bus.trust.grants.literals import Literal, readings, value_at

Values = Mapping[str, Any]
Predicate = Callable[[Values], bool]


class Said(NamedTuple):
    """What a condition says, for a sentence in any language.

    Args:
        field: the path of the field.
        how: ``is``, ``in``, ``between``, ``from``, ``to`` or ``prefix``.
        values: what it is compared with; for ``between`` the two bounds.
    """

    field: str
    how: str
    values: tuple[Literal, ...]


def compiled(conditions: Sequence[Condition]) -> Predicate:
    """Return a function that tells whether data keeps to all of the conditions."""
    predicates = [_predicate(one) for one in conditions]
    if len(predicates) == 1:
        return predicates[0]

    def every(values: Values) -> bool:
        return all(predicate(values) for predicate in predicates)

    return every


def said(condition: Condition) -> Said:
    """Return what a condition says."""
    match condition:
        case Among(field, values):
            return Said(field, "is" if len(values) == 1 else "in", values)
        case Begins(field, prefix):
            return Said(field, "prefix", (prefix,))
        case Between(field, low, high):
            how = "between" if low is not None and high is not None else "from"
            how = "to" if low is None else how
            return Said(field, how, tuple(one for one in (low, high) if one is not None))


def _predicate(condition: Condition) -> Predicate:
    path = condition.field.split(".")
    match condition:
        case Among():
            return _among(path, condition.values)
        case Begins():
            return _begins(path, condition.prefix)
        case Between():
            return _between(path, condition)


def _among(path: Sequence[str], values: Sequence[Literal]) -> Predicate:
    accepted: dict[type, set[Any]] = {}
    for literal in values:
        for kind, value in readings(literal).items():
            accepted.setdefault(kind, set()).add(value)

    def holds(data: Values) -> bool:
        value = value_at(data, path)
        return type(value) in accepted and value in accepted[type(value)]

    return holds


def _begins(path: Sequence[str], prefix: str) -> Predicate:
    def holds(data: Values) -> bool:
        value = value_at(data, path)
        return type(value) is str and value.startswith(prefix)

    return holds


def _between(path: Sequence[str], condition: Between) -> Predicate:
    low, high = _bounds(condition.low), _bounds(condition.high)
    kinds = {kind for kind in (low or high) if kind is not UUID}  # ids have no order of use
    if low and high:
        kinds &= low.keys() & high.keys()

    def holds(data: Values) -> bool:
        value = value_at(data, path)
        kind = type(value)
        return (
            kind in kinds
            and (not low or operator.ge(value, low[kind]))
            and (not high or operator.lt(value, high[kind]))
        )

    return holds


def _bounds(literal: str | int | None) -> dict[type, Any]:
    if literal is None:
        return {}
    found = readings(literal)
    return found | {float: literal} if int in found else found
