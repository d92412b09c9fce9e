"""What a contract has to keep to; an error names the file and the place in it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bus.avro.codec import Codec
from bus.avro.compatibility import problems
from bus.avro.limits import admit
from bus.avro.text import from_json
from bus.avro.types import Array, Enum, Map, Primitive, Record, Schema, Type, Union, below
from bus.contracts.spans import LAST_STATE, duration
from bus.errors import BusError, InvalidContract, InvalidEvent, nearest
from bus.event import member_of

if TYPE_CHECKING:
    from bus.contracts.contract import Contract

ACCESS = ("open", "restricted")
COMPATIBILITY = "FULL_TRANSITIVE"
"""Each version reads each: hundreds of vendors upgrade when they like."""

LANGUAGES = ("de", "en")
MOST_PARTITIONS = 1000
SENSITIVITY = ("public", "internal", "confidential", "restricted")
"""How far a field may be shown (CloudEvents extension ``dataclassification``)."""

TOPIC = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]*")
_KEY_TYPES = ("string", "int", "long")


@dataclass(frozen=True, slots=True)
class Places:
    """What errors call the contract, its versions and its examples."""

    contract: str
    version: str
    example: str


_SHAPES: dict[str, tuple[type[Any], str]] = {
    "topic": (str, "text"),
    "title": (dict, "texts by language, de and en"),
    "description": (dict, "texts by language, de and en"),
    "owner": (str, "a member's id"),
    "access": (str, "open or restricted"),
    "key": (list, "a list of fields"),
    "partitions": (int, "a number"),
    "compatibility": (str, "a compatibility level"),
    "municipality": (str, "a field's name"),
    "subject": (str, "a field's name"),
    "retention": (str, "a duration, or last-state"),
    "expected_interval": (str, "a duration"),
    "sensitivity": (dict, "a word for each field"),
    "versions": (list, "a list of schemas"),
    "examples": (dict, "data by name"),
    "schema_ids": (list, "a list of numbers"),
}
_OPTIONAL = ("subject", "expected_interval", "schema_ids")


def arguments(value: Any, where: str) -> dict[str, Any]:
    """Check names and shapes, and return the constructor's arguments."""
    if not isinstance(value, Mapping):
        raise InvalidContract("is no mapping of names to values", where=where)
    for name in value:
        if name not in _SHAPES:
            raise InvalidContract(
                f'unknown name "{name}"', where=where, remedy=nearest(str(name), list(_SHAPES))
            )
    arguments: dict[str, Any] = {}
    for name, (kind, wanted) in _SHAPES.items():
        given = value.get(name)
        if given is None:
            if name not in _OPTIONAL:
                raise InvalidContract("is missing", where=f"{where}: {name}")
            continue
        if not isinstance(given, kind) or isinstance(given, bool):
            raise InvalidContract(f"is not {wanted}", where=f"{where}: {name}")
        arguments[name] = tuple(given) if isinstance(given, list) else given
    return arguments


def check(contract: "Contract", places: Places) -> None:
    for name, what in _broken(contract):
        raise InvalidContract(what, where=f"{places.contract}: {name}")
    schemas = [_schema(contract, number, places) for number in range(len(contract.versions))]
    for name, what in _fields_broken(contract, schemas):
        raise InvalidContract(what, where=f"{places.contract}: {name}")
    _check_examples(contract, schemas[-1], places)


def _broken(contract: "Contract") -> Iterator[tuple[str, str]]:
    """Yield the places that are wrong whatever the schemas say."""
    if not TOPIC.fullmatch(contract.topic):
        yield "topic", f'"{contract.topic}" is not <domain>.<event>.v<major> in a-z, 0-9 and -'
    for name in ("title", "description", "examples"):
        if not _is_json(getattr(contract, name)):
            yield name, "has half a surrogate pair or another value that JSON in UTF-8 cannot carry"
    yield from _texts_broken("title", contract.title)
    yield from _texts_broken("description", contract.description)
    if member_of(f"{contract.owner}.x") != contract.owner:
        yield "owner", f'"{contract.owner}" is no member\'s id, such as de.mun.092720140140'
    if contract.access not in ACCESS:
        yield "access", f'"{contract.access}" is not known; {nearest(contract.access, ACCESS)}'
    if contract.compatibility != COMPATIBILITY:
        yield "compatibility", f'"{contract.compatibility}" is not {COMPATIBILITY}, as all are here'
    if not 1 <= contract.partitions <= MOST_PARTITIONS:
        yield "partitions", f"{contract.partitions} is not between 1 and {MOST_PARTITIONS}"
    if contract.retention != LAST_STATE:
        yield from _duration_broken("retention", contract.retention)
    if contract.expected_interval is not None:
        yield from _duration_broken("expected_interval", contract.expected_interval)
    if not contract.versions:
        yield "versions", "there is no schema"
    if not contract.examples:
        yield "examples", "there is no example"


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


def _texts_broken(name: str, texts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for language in LANGUAGES:
        if not isinstance(texts.get(language), str) or not texts[language].strip():
            yield f"{name}.{language}", "is missing or no text"
    for language in texts:
        if language not in LANGUAGES:
            yield f"{name}.{language}", f"is neither {' nor '.join(LANGUAGES)}"


def _duration_broken(name: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        duration(text)
    except ValueError as error:
        yield name, str(error)


def _schema(contract: "Contract", index: int, places: Places) -> Schema:
    """Return a version's schema, checked against the versions before it."""
    where = places.version.format(index + 1)
    try:
        schema = admit(contract.versions[index])
    except BusError as error:
        raise InvalidContract(str(error), where=where) from error
    if not isinstance(schema.root, Record):
        raise InvalidContract("an event's data is a record", where=where)
    for path in _undocumented(schema, schema.source, ""):
        raise InvalidContract("has no doc", where=f"{where}: {path or schema.root.name}")
    for problem in problems(contract.compatibility, schema, contract.versions[:index]):
        raise InvalidContract(f"breaks {contract.compatibility}: {problem}", where=where)
    return schema


def _undocumented(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Yield the path of every record, field and enum without a doc."""
    if isinstance(value, list):
        for branch in value:
            yield from _undocumented(schema, branch, path)
    if not isinstance(value, dict):
        return
    kind = value["type"]
    if kind in ("record", "enum") and not str(value.get("doc", "")).strip():
        yield path
    if kind == "record":
        for inner in value["fields"]:
            place = below(path, inner["name"])
            if not str(inner.get("doc", "")).strip():
                yield place
            yield from _undocumented(schema, inner["type"], place)
    elif kind in ("array", "map"):
        yield from _undocumented(schema, value.get("items", value.get("values")), path)
    else:
        yield from _undocumented(schema, kind, path)


def _fields_broken(contract: "Contract", schemas: Sequence[Schema]) -> Iterator[tuple[str, str]]:
    """Yield the places that are wrong beside the schemas."""
    yield from _key_broken(contract, schemas)
    restricted = contract.access == "restricted"
    yield from _named_broken("municipality", contract.municipality, schemas[-1])
    if contract.subject is not None:
        yield from _named_broken("subject", contract.subject, schemas[-1], optional=not restricted)
    elif restricted:
        yield "subject", "is missing; in a restricted contract it is known whom an event is about"
    yield from _sensitivity_broken(contract, list(_top(schemas[-1])))


def _named_broken(
    place: str, name: str, newest: Schema, *, optional: bool = False
) -> Iterator[tuple[str, str]]:
    there = _top(newest)
    if name not in there:
        yield place, f'"{name}" is no field; {nearest(name, list(there))}'
    elif not _is_text(newest, there[name], optional=optional):
        yield place, f'"{name}" is not text' + (" or null" if optional else " that is always there")


def _sensitivity_broken(contract: "Contract", newest: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in newest:
        if name not in contract.sensitivity:
            yield f"sensitivity.{name}", "is missing"
    for name, word in contract.sensitivity.items():
        place = f"sensitivity.{name}"
        if name not in newest:
            yield place, f"is no field; {nearest(str(name), newest)}"
        elif word not in SENSITIVITY:
            yield place, f'"{word}" is not known; {nearest(str(word), SENSITIVITY)}'
        elif contract.access == "open" and word != "public":
            yield place, "of an open contract is public"


def _key_broken(contract: "Contract", schemas: Sequence[Schema]) -> Iterator[tuple[str, str]]:
    if not contract.key:
        yield "key", "names no field"
    names = [str(name) for name in contract.key]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield "key", f'"{name}" is there twice'
        for number, schema in enumerate(schemas, 1):
            there = _top(schema)
            if name not in there:
                near = nearest(name, list(there))
                yield "key", f'"{name}" is no field of version {number}; {near}'
            elif not _is_key(schema, there[name]):
                yield (
                    "key",
                    f'"{name}" is not text, a whole number, a date or an enum that is always there',
                )


def _top(schema: Schema) -> dict[str, Type]:
    root = schema.root
    return {f.name: f.type for f in root.fields} if isinstance(root, Record) else {}


def _is_key(schema: Schema, type_: Type) -> bool:
    match schema.resolve(type_):
        case Primitive(kind, attributes):
            return kind in _KEY_TYPES and attributes.get("logicalType") in (None, "date", "uuid")
        case Enum():
            return True
        case Array() | Map() | Union():
            return False
    return False


def _is_text(schema: Schema, type_: Type, *, optional: bool) -> bool:
    match schema.resolve(type_):
        case Primitive("string", attributes):
            return "logicalType" not in attributes
        case Union(branches) if optional:
            text = [branch for branch in branches if not _is_null(branch)]
            return len(text) == 1 and _is_text(schema, text[0], optional=False)
    return False


def _is_null(type_: Type) -> bool:
    return isinstance(type_, Primitive) and type_.kind == "null"


def _check_examples(contract: "Contract", newest: Schema, places: Places) -> None:
    codec = Codec(newest.source)
    for name, example in contract.examples.items():
        data = from_json(newest, example)
        try:
            codec.encode(data)
            contract.key_of(data)
        except InvalidEvent as error:
            raise InvalidContract(str(error), where=places.example.format(name)) from error
