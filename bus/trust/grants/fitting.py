"""Whether a grant fits the contract that it is about: its fields, and what its rows ask. Pure.

The newest version of the contract's schema decides. What an older event lacks is not given, and a
condition on it does not hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from bus.avro.schema import parse
from bus.avro.types import Enum, Field, Primitive, Record, Schema, Type, Union, describe
from bus.contracts import Contract
from bus.errors import InvalidGrant, nearest
from bus.trust.grants.conditions import Among, Begins, Between, Condition
from bus.trust.grants.literals import Literal, day_of, instant_of, readings
from bus.trust.grants.terms import Terms

_INSTANTS = ("timestamp-millis", "timestamp-micros")
_ALL, _EQUAL, _ORDERED = (
    frozenset({Among, Between, Begins}),
    frozenset({Among}),
    frozenset({Among, Between}),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What may be asked of a field.

    Args:
        kind: ``text``, ``symbol``, ``id``, ``boolean``, ``number``, ``fraction``, ``day``,
            ``instant``; empty where nothing may be asked.
        conditions: the kinds of conditions that may be.
        symbols: what an enum may be.
    """

    kind: str
    conditions: frozenset[type[Condition]] = frozenset()
    symbols: tuple[str, ...] = ()


_PLAIN = {
    ("string", None): Asked("text", _ALL),
    ("string", "uuid"): Asked("id", _EQUAL),
    ("boolean", None): Asked("boolean", _EQUAL),
    ("int", None): Asked("number", _ORDERED),
    ("long", None): Asked("number", _ORDERED),
    ("float", None): Asked("fraction", frozenset({Between})),
    ("double", None): Asked("fraction", frozenset({Between})),
    ("int", "date"): Asked("day", _ORDERED),
    ("long", _INSTANTS[0]): Asked("instant", _ORDERED),
    ("long", _INSTANTS[1]): Asked("instant", _ORDERED),
}
_EXAMPLES = {
    "text": "text",
    "symbol": "one of its symbols",
    "id": "a UUID in small letters",
    "boolean": "true or false",
    "number": "a whole number",
    "fraction": "a whole number",
    "day": "a day such as 2026-07-01",
    "instant": "an instant such as 2026-07-01T00:00:00Z",
}


def check(terms: Terms, contract: Contract) -> None:
    """Refuse terms that the contract has no data for, or that need no grant.

    Raises:
        InvalidGrant: the contract is open, or another one; it lacks a field; or a row asks what
            cannot be asked of its field.
    """
    if terms.topic != contract.topic:
        raise InvalidGrant(f"is about {terms.topic}, not {contract.topic}", where="grant.topic")
    if contract.access != "restricted":
        raise InvalidGrant(
            f"{contract.topic} is {contract.access}, not restricted",
            where="grant.topic",
            remedy="subscribe to it: an open contract needs no grant",
        )
    schema = newest(contract)
    there = [field.name for field in fields_of(schema, schema.root)]
    for name in terms.fields:
        if name not in there:
            raise InvalidGrant(
                f'{contract.topic} has no field "{name}"',
                where="grant.fields",
                remedy=nearest(name, there),
            )
    for number, condition in enumerate(terms.rows):
        check_condition(condition, schema, where=f"grant.rows[{number}]")


def newest(contract: Contract) -> Schema:
    """Return the schema of a contract's newest version."""
    return parse(contract.versions[-1])


def check_condition(condition: Condition, schema: Schema, *, where: str = "") -> None:
    """Refuse a condition that cannot be asked of events of a schema.

    Raises:
        InvalidGrant: its field is missing, of another type, or cannot be what is asked for.
    """
    type_ = _type_at(schema, condition.field, where)
    asked = _asked(schema, type_)
    if type(condition) not in asked.conditions:
        possible = " or ".join(sorted(_WORDS[kind] for kind in asked.conditions)) or "nothing"
        raise InvalidGrant(
            f'"{condition.field}" is {describe(schema, type_)}, of which {_WORDS[type(condition)]} '
            f"cannot be asked",
            where=where,
            remedy=f"ask {possible} of it",
        )
    for literal in _literals(condition):
        if not _fits(literal, asked):
            known = f": {', '.join(asked.symbols)[:300]}" if asked.symbols else ""
            raise InvalidGrant(
                f'"{condition.field}" is never {str(literal)[:60]!r}',
                where=where,
                remedy=f"give {_EXAMPLES[asked.kind]}{known}",
            )


_WORDS: dict[type[Condition], str] = {
    Among: "is or in",
    Between: "from and to",
    Begins: "prefix",
}


def asked_of(schema: Schema, path: str) -> Asked:
    """Return what may be asked of a field.

    Raises:
        InvalidGrant: there is no such field.
    """
    return _asked(schema, _type_at(schema, path, path))


def fields_of(schema: Schema, type_: Type) -> tuple[Field, ...]:
    """Return the fields of a record, also of one that may be null; none for other types."""
    match _without_null(schema, type_):
        case Record(fields=fields):
            return fields
    return ()


def symbols_of(schema: Schema, type_: Type) -> tuple[str, ...]:
    """Return the symbols of an enum, also of one that may be null; none for other types."""
    match _without_null(schema, type_):
        case Enum(symbols=symbols):
            return symbols
    return ()


def _type_at(schema: Schema, path: str, where: str) -> Type:
    type_: Type = schema.root
    for name in path.split("."):
        there = {field.name: field.type for field in fields_of(schema, type_)}
        if name not in there:
            raise InvalidGrant(
                f'there is no field "{path}"',
                where=where,
                remedy=nearest(name, list(there)) if there else "nothing lies below its parent",
            )
        type_ = there[name]
    return type_


def _without_null(schema: Schema, type_: Type) -> Type:
    """Return the one type of a union with null; any other type as it is."""
    resolved = schema.resolve(type_)
    if isinstance(resolved, Union):
        some = [schema.resolve(one) for one in resolved.branches]
        some = [one for one in some if not (isinstance(one, Primitive) and one.kind == "null")]
        if len(some) == 1:
            return some[0]
    return resolved


def _asked(schema: Schema, type_: Type) -> Asked:
    match _without_null(schema, type_):
        case Enum(symbols=symbols):
            return Asked("symbol", _EQUAL, symbols)
        case Primitive(kind, attributes):
            name = attributes.get("logicalType")
            return _PLAIN.get((kind, None if name is None else str(name)), Asked(""))
    return Asked("")


def _literals(condition: Condition) -> Sequence[Literal]:
    match condition:
        case Among(_, values):
            return values
        case Begins(_, prefix):
            return (prefix,)
        case Between(_, low, high):
            return [one for one in (low, high) if one is not None]


def _fits(literal: Literal, asked: Asked) -> bool:
    """Whether a field can be what a literal says."""
    match asked.kind:
        case "text":
            return isinstance(literal, str)
        case "symbol":
            return literal in asked.symbols
        case "boolean":
            return isinstance(literal, bool)
        case "number" | "fraction":
            return type(literal) is int
    if not isinstance(literal, str):
        return False
    if asked.kind == "id":
        return UUID in readings(literal)
    return (day_of(literal) if asked.kind == "day" else instant_of(literal)) is not None
