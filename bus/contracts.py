"""Contracts: what an event type promises, read from its folder or from a registry's JSON.

A folder is ``<domain>/<event>/v<major>`` with ``contract.yaml``, the schema's versions ``1.avsc``,
``2.avsc``, … and ``examples/*.json``. A contract that was loaded has been checked as a whole; an
error names the file and the place in it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Self

import yaml

from bus.admin import TopicSpec
from bus.avro.codec import Codec
from bus.avro.compatibility import LEVELS, problems
from bus.avro.limits import admit
from bus.avro.text import from_json
from bus.avro.types import Array, Enum, Map, Primitive, Record, Schema, Type, Union, below
from bus.errors import BusError, InvalidContract, InvalidEvent, nearest
from bus.event import key_of, member_of

LAST_STATE = "last-state"
"""The retention that keeps the last event of every key for good."""

ACCESS = ("open", "restricted")
SENSITIVITY = ("public", "internal", "confidential", "restricted")
"""How far a field may be shown (CloudEvents extension ``dataclassification``)."""

MAX_EVENT_BYTES = 1_048_588
"""``max.message.bytes`` of a contract's topic: Apache Kafka's default, said outright."""

_TOPIC = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]*")
_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d+)D)?(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_KEY_TYPES = ("string", "int", "long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """An event type.

    Args:
        topic: ``<domain>.<event>.v<major>``; also the type of its events.
        title: by language, ``de`` and ``en``.
        description: by language.
        owner: the member that answers for it.
        access: ``open`` or ``restricted``.
        key: the fields that make the key, in order.
        partitions: fixed for good, as order is kept per key.
        compatibility: one of the seven levels.
        municipality: the field that names the municipality it is about.
        subject: the field that names what it is about; None if there is none.
        retention: an ISO 8601 duration, or ``last-state``.
        expected_interval: how often an event is expected at the least (ISO 8601); None: no way to
            tell.
        sensitivity: of each field, by its path.
        versions: the schema's versions; index 0 is version 1.
        examples: data as JSON, by name.
        schema_ids: the registry's ids of the versions, once it is in force.
    """

    topic: str
    title: Mapping[str, str]
    description: Mapping[str, str]
    owner: str
    access: str
    key: tuple[str, ...]
    partitions: int
    compatibility: str
    municipality: str
    subject: str | None = None
    retention: str
    expected_interval: str | None = None
    sensitivity: Mapping[str, str]
    versions: tuple[Any, ...]
    examples: Mapping[str, Any] = field(default_factory=dict)
    schema_ids: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, value: Any, where: str = "contract") -> Self:
        """Return a contract from JSON values, checked as a whole.

        Args:
            value: what `to_json` returned.
            where: what the value is called in errors.

        Raises:
            InvalidContract: a rule is broken.
        """
        contract = cls(**_arguments(value, where))
        _check(contract, _Places(where, where, where))
        return contract

    def topic_spec(self) -> TopicSpec:
        """Return the topic that carries the contract's events."""
        configs = {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(MAX_EVENT_BYTES),
        }
        if self.retention == LAST_STATE:
            configs |= {"cleanup.policy": "compact", "retention.ms": "-1"}
        else:
            kept = duration(self.retention) // timedelta(milliseconds=1)
            configs |= {"cleanup.policy": "delete", "retention.ms": str(kept)}
        return TopicSpec(name=self.topic, partitions=self.partitions, configs=configs)

    def key_of(self, data: Mapping[str, Any]) -> str:
        """Return the key of an event's data.

        Raises:
            InvalidEvent: a key field is missing or empty.
        """
        values = []
        for name in self.key:
            if data.get(name) in (None, ""):
                raise InvalidEvent("is missing or empty, but part of the key", where=name)
            values.append(data[name])
        return key_of(values)


def duration(text: str) -> timedelta:
    """Return an ISO 8601 duration of days, hours, minutes and seconds.

    Raises:
        ValueError: it is none, or zero; months and years have no fixed length and are none here.
    """
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f'"{text}" is no ISO 8601 duration such as P30D or PT15M')
    parts = {name: int(number) for name, number in found.groupdict().items() if number}
    length = timedelta(**parts)
    if not length:
        raise ValueError(f'"{text}" is no time at all')
    return length


def load_all(path: Traversable | None = None) -> tuple[Contract, ...]:
    """Return all contracts below a folder, in the order of their topics.

    Args:
        path: a folder of ``<domain>/<event>/v<major>``; the contracts that are shipped if None.

    Raises:
        InvalidContract: one of them breaks a rule, or there is none.
    """
    root = resources.files("schemas") if path is None else path
    found = [load_folder(folder) for folder in _folders(root)]
    if not found:
        raise InvalidContract("there is no contract in it", where=str(root))
    return tuple(sorted(found, key=lambda contract: contract.topic))


def _folders(root: Traversable) -> Iterator[Traversable]:
    if not root.is_dir():
        raise InvalidContract("there is no such folder", where=str(root))
    for domain in _below(root):
        for event in _below(domain):
            for version in _below(event):
                if (version / "contract.yaml").is_file():
                    yield version


def _below(folder: Traversable) -> list[Traversable]:
    inside = [entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._"]
    return sorted(inside, key=lambda entry: entry.name)


def load_folder(path: Traversable) -> Contract:
    """Return the contract in a folder.

    Raises:
        InvalidContract: a rule is broken; `where` names the file and the place in it.
    """
    file = path / "contract.yaml"
    value = _yaml(file)
    for name in ("topic", "versions", "examples", "schema_ids"):
        if name in value:
            raise InvalidContract(f"{name} comes from the folder, not from here", where=str(file))
    parts = str(path).replace("\\", "/").rstrip("/").split("/")[-3:]
    value |= {
        "topic": ".".join(parts),
        "versions": list(_versions(path)),
        "examples": dict(_examples(path)),
    }
    contract = Contract(**_arguments(value, str(file)))
    _check(contract, _Places(str(file), f"{path}/{{}}.avsc", f"{path}/examples/{{}}.json"))
    return contract


def _yaml(file: Traversable) -> dict[str, Any]:
    try:
        value = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe loader
    except FileNotFoundError:
        raise InvalidContract("the file is missing", where=str(file)) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidContract(f"cannot be read: {error}", where=str(file)) from error
    if not isinstance(value, dict):
        raise InvalidContract("is no mapping of names to values", where=str(file))
    return value


class _Loader(yaml.SafeLoader):
    """YAML's plain types only, and no name twice in one mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise yaml.YAMLError(f"{', '.join(sorted(twice))} is there twice")
        return super().construct_mapping(node, deep)


def _versions(path: Traversable) -> Iterator[Any]:
    files = {entry.name: entry for entry in path.iterdir() if entry.name.endswith(".avsc")}
    for number in range(1, len(files) + 1):
        if f"{number}.avsc" not in files:
            raise InvalidContract(
                f"{number}.avsc is missing; versions count from 1 without gaps", where=str(path)
            )
        yield _json(files[f"{number}.avsc"])


def _examples(path: Traversable) -> Iterator[tuple[str, Any]]:
    folder = path / "examples"
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".json"):
                yield entry.name.removesuffix(".json"), _json(entry)


def _json(file: Traversable) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidContract(f"cannot be read: {error}", where=str(file)) from error


# Rules


@dataclass(frozen=True, slots=True)
class _Places:
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
_OPTIONAL = ("subject", "expected_interval", "examples", "schema_ids")


def _arguments(value: Any, where: str) -> dict[str, Any]:
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


def _check(contract: Contract, places: _Places) -> None:
    for name, what in _broken(contract):
        raise InvalidContract(what, where=f"{places.contract}: {name}")
    schemas = [_schema(contract, number, places) for number in range(len(contract.versions))]
    for name, what in _fields_broken(contract, schemas):
        raise InvalidContract(what, where=f"{places.contract}: {name}")
    _check_examples(contract, schemas[-1], places)


def _broken(contract: Contract) -> Iterator[tuple[str, str]]:
    """Yield the places that are wrong whatever the schemas say."""
    if not _TOPIC.fullmatch(contract.topic):
        yield "topic", f'"{contract.topic}" is not <domain>.<event>.v<major> in a-z, 0-9 and -'
    for name, texts in (("title", contract.title), ("description", contract.description)):
        for language in ("de", "en"):
            if not isinstance(texts.get(language), str) or not texts[language].strip():
                yield f"{name}.{language}", "is missing or no text"
        for language in texts:
            if language not in ("de", "en"):
                yield f"{name}.{language}", "is neither de nor en"
    if member_of(f"{contract.owner}.x") != contract.owner:
        yield "owner", f'"{contract.owner}" is no member\'s id, such as de.mun.092720140140'
    for name, given, known in (
        ("access", contract.access, ACCESS),
        ("compatibility", contract.compatibility, tuple(LEVELS)),
    ):
        if given not in known:
            yield name, f'"{given}" is not known; {nearest(given, known)}'
    if contract.partitions < 1:
        yield "partitions", f"{contract.partitions} is less than 1"
    if contract.retention != LAST_STATE:
        yield from _duration_broken("retention", contract.retention)
    if contract.expected_interval is not None:
        yield from _duration_broken("expected_interval", contract.expected_interval)
    if not contract.versions:
        yield "versions", "there is no schema"


def _duration_broken(name: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        duration(text)
    except (ValueError, OverflowError) as error:
        yield name, str(error)


def _schema(contract: Contract, index: int, places: _Places) -> Schema:
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


def _fields_broken(contract: Contract, schemas: Sequence[Schema]) -> Iterator[tuple[str, str]]:
    """Yield the places that are wrong beside the schemas."""
    newest = _top(schemas[-1])
    if not contract.key:
        yield "key", "names no field"
    for name in contract.key:
        for number, schema in enumerate(schemas, 1):
            wanted = _top(schema).get(str(name))
            if wanted is None:
                yield (
                    "key",
                    f'"{name}" is no field of version {number}; '
                    + nearest(str(name), list(_top(schema))),
                )
            elif not _is_key(schema, wanted):
                yield (
                    "key",
                    f'"{name}" is not text, a number, a date or an enum that is always there',
                )
    for place, named in (("municipality", contract.municipality), ("subject", contract.subject)):
        if named is not None and named not in newest:
            yield place, f'"{named}" is no field; {nearest(named, list(newest))}'
    for name in newest:
        if name not in contract.sensitivity:
            yield f"sensitivity.{name}", "is missing"
    for name, word in contract.sensitivity.items():
        if name not in newest:
            yield f"sensitivity.{name}", f"is no field; {nearest(str(name), list(newest))}"
        elif word not in SENSITIVITY:
            yield f"sensitivity.{name}", f'"{word}" is not known; {nearest(str(word), SENSITIVITY)}'
        elif contract.access == "open" and word != "public":
            yield f"sensitivity.{name}", "of an open contract is public"


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


def _check_examples(contract: Contract, newest: Schema, places: _Places) -> None:
    codec = Codec(newest.source)
    for name, example in contract.examples.items():
        data = from_json(newest, example)
        try:
            codec.encode(data)
            contract.key_of(data)
        except InvalidEvent as error:
            raise InvalidContract(str(error), where=places.example.format(name)) from error
