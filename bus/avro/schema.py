"""Avro schemas as values: JSON text in, resolved types out (Avro specification, 1.12).

Parsing checks what the specification asks for: names, symbols, unions, defaults, references. How
large and how deep a schema may be on the bus is the business of `bus.avro.limits`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bus.avro.defaults import check_defaults
from bus.avro.types import (
    MISSING,
    PRIMITIVES,
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    Named,
    Primitive,
    Record,
    Reference,
    Schema,
    Type,
    Union,
    below,
    full_name,
    unqualified,
)
from bus.errors import InvalidSchema

MAX_TEXT_BYTES = 256 * 1024
# A nested record takes three levels of JSON; nothing that keeps to 32 levels of types needs more.
MAX_JSON_DEPTH = 120

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# The closing quote is optional, so that a text without one is still read only once.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)
_ORDERS = frozenset({"ascending", "descending", "ignore"})


def parse(source: Any) -> Schema:
    """Read a schema from JSON text, or from the value that such text stands for.

    Args:
        source: text or value; a primitive type's name may stand there as it is, without quotes.

    Raises:
        InvalidSchema: it is no Avro schema; `where` is the path of the place, such as
            ``addresses[].postcode``.
    """
    value = load(source) if isinstance(source, str) and source not in PRIMITIVES else source
    _check_value(value)
    parser = _Parser()
    root = parser.type(value, "", "")
    schema = Schema(root, parser.named, value)
    check_defaults(schema)
    return schema


def load(text: str, *, max_bytes: int = MAX_TEXT_BYTES) -> Any:
    """Read JSON that keeps to the limits for schema texts, without recursing into what does not.

    Args:
        text: JSON.
        max_bytes: how long it may be in UTF-8.

    Raises:
        InvalidSchema: the text is too long, too deeply nested, or no JSON.
    """
    _check_size(text, max_bytes)
    if _depth(text) > MAX_JSON_DEPTH:
        raise InvalidSchema(f"the JSON is nested more than {MAX_JSON_DEPTH} levels deep")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:
        raise InvalidSchema(f"the text is no JSON: {error}") from error


class _Parser:
    """Collects the named types of one schema while its types are read."""

    def __init__(self) -> None:
        self.named: dict[str, Named] = {}
        self._open: set[str] = set()

    def type(self, value: Any, namespace: str, path: str) -> Type:
        if isinstance(value, str):
            return self._by_name(value, {}, namespace, path)
        if isinstance(value, list):
            return self._union(value, namespace, path)
        if not isinstance(value, dict):
            raise InvalidSchema(
                f"a type is text, a list or an object, not {_json(value)}", where=path
            )
        kind = value.get("type", MISSING)
        if not isinstance(kind, str):
            raise InvalidSchema('an object that is a type needs "type" with a name', where=path)
        match kind:
            case "array":
                return Array(self.type(_required(value, "items", path), namespace, f"{path}[]"))
            case "map":
                return Map(self.type(_required(value, "values", path), namespace, f"{path}{{}}"))
            case "record" | "error" | "enum" | "fixed":
                return self._named(kind, value, namespace, path)
        return self._by_name(kind, value, namespace, path)

    def _by_name(self, name: str, attributes: Mapping[str, Any], namespace: str, path: str) -> Type:
        if name in PRIMITIVES:
            return Primitive(name, attributes)
        known = full_name(name, namespace)
        if known not in self.named and known not in self._open:
            raise InvalidSchema(f'there is no type "{name}" at this place', where=path)
        return Reference(known)

    def _union(self, values: list[Any], namespace: str, path: str) -> Union:
        branches = tuple(self.type(value, namespace, path) for value in values)
        seen: set[str] = set()
        for branch in branches:
            label = _label(branch, path)
            if label in seen:
                raise InvalidSchema(f"the union has the branch {label} twice", where=path)
            seen.add(label)
        return Union(branches)

    def _named(self, kind: str, value: dict[str, Any], namespace: str, path: str) -> Named:
        name, namespace = self._name(value, namespace, path)
        aliases = frozenset(full_name(alias, namespace) for alias in _aliases(value, path, True))
        _check_doc(value, path)
        named: Named
        match kind:
            case "enum":
                symbols = _symbols(value, path)
                named = Enum(name, aliases, symbols, _enum_default(value, symbols, path))
            case "fixed":
                named = Fixed(name, aliases, _size(value, path), value)
            case _:
                self._open.add(name)
                fields = tuple(self._fields(value, namespace, path))
                _check_field_aliases(fields, path)
                named = Record(name, aliases, fields)
                self._open.discard(name)
        self.named[name] = named
        return named

    def _name(self, value: dict[str, Any], enclosing: str, path: str) -> tuple[str, str]:
        name = _required(value, "name", path)
        namespace = value.get("namespace", enclosing)
        for part in (name, namespace):
            if not isinstance(part, str):
                raise InvalidSchema(f"a name is text, not {_json(part)}", where=path)
        if "." in name:
            namespace = name.rpartition(".")[0]
        full = full_name(name, namespace)
        _check_name(full, path, dotted=True)
        if unqualified(full) in PRIMITIVES:
            raise InvalidSchema(f'"{name}" is the name of a primitive type', where=path)
        if full in self.named or full in self._open:
            raise InvalidSchema(f'the type "{full}" is defined twice', where=path)
        return full, namespace

    def _fields(self, value: dict[str, Any], namespace: str, path: str) -> Iterator[Field]:
        fields = _required(value, "fields", path)
        if not isinstance(fields, list):
            raise InvalidSchema('"fields" is a list', where=path)
        seen: set[str] = set()
        for field in fields:
            if not isinstance(field, dict):
                raise InvalidSchema(f"a field is an object, not {_json(field)}", where=path)
            name = _required(field, "name", path)
            _check_name(name, path)
            place = below(path, name)
            aliases = tuple(_aliases(field, place, False))
            if name in seen:
                raise InvalidSchema("the field is there twice", where=place)
            seen.add(name)
            _check_doc(field, place)
            if field.get("order", "ascending") not in _ORDERS:
                raise InvalidSchema('"order" is ascending, descending or ignore', where=place)
            type_ = self.type(_required(field, "type", place), namespace, place)
            yield Field(name, aliases, type_, field.get("default", MISSING))


def _label(branch: Type, path: str) -> str:
    """Return what a union may have once only (specification, "Unions")."""
    match branch:
        case Union():
            raise InvalidSchema("a union cannot be a branch of a union", where=path)
        case Primitive(kind):
            return kind
        case Array() | Map():
            return type(branch).__name__.lower()
    return branch.name


def _required(value: Mapping[str, Any], key: str, path: str) -> Any:
    if key not in value:
        raise InvalidSchema(f'"{key}" is missing', where=path)
    return value[key]


def _check_name(name: Any, path: str, *, dotted: bool = False) -> None:
    parts = name.split(".") if isinstance(name, str) and dotted else [name]
    if not all(isinstance(part, str) and _NAME.match(part) for part in parts):
        raise InvalidSchema(
            f"{_json(name)} is no name: letters, digits and _ of ASCII, not beginning with a digit",
            where=path,
        )


def _aliases(value: Mapping[str, Any], path: str, dotted: bool) -> list[str]:
    aliases = value.get("aliases", [])
    if not isinstance(aliases, list):
        raise InvalidSchema('"aliases" is a list', where=path)
    for alias in aliases:
        _check_name(alias, path, dotted=dotted)
    return aliases


def _check_field_aliases(fields: tuple[Field, ...], path: str) -> None:
    """Refuse an alias that is another field: Avro's Java library could not read such a record."""
    names = {field.name for field in fields}
    for field in fields:
        for alias in field.aliases:
            if alias != field.name and alias in names:
                place = below(path, field.name)
                raise InvalidSchema(f'the alias "{alias}" is another field', where=place)


def _check_doc(value: Mapping[str, Any], path: str) -> None:
    if not isinstance(value.get("doc", ""), str):
        raise InvalidSchema('"doc" is text', where=path)


def _symbols(value: Mapping[str, Any], path: str) -> tuple[str, ...]:
    symbols = _required(value, "symbols", path)
    if not isinstance(symbols, list):
        raise InvalidSchema('"symbols" is a list', where=path)
    seen: set[str] = set()
    for symbol in symbols:
        _check_name(symbol, path)
        if symbol in seen:
            raise InvalidSchema(f'the symbol "{symbol}" is there twice', where=path)
        seen.add(symbol)
    return tuple(symbols)


def _enum_default(value: Mapping[str, Any], symbols: tuple[str, ...], path: str) -> str | None:
    default: Any = value.get("default")
    if default is not None and default not in symbols:
        raise InvalidSchema(f"the default {_json(default)} is none of the symbols", where=path)
    return default  # type: ignore[no-any-return]  # it is one of the symbols


def _size(value: Mapping[str, Any], path: str) -> int:
    size = _required(value, "size", path)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidSchema(
            f"the size of a fixed is a number of bytes, not {_json(size)}", where=path
        )
    return size


def _json(value: Any) -> str:
    """Return a JSON value as a message shows it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _depth(text: str) -> int:
    """Return how deeply brackets are nested outside of strings."""
    deepest = depth = 0
    for match in _TOKEN.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _check_size(text: str, max_bytes: int = MAX_TEXT_BYTES) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidSchema("the text has half a surrogate pair in it") from error
    if size > max_bytes:
        raise InvalidSchema(f"the text has {size} bytes, {max_bytes} are allowed")


def _check_value(value: Any) -> None:
    """Refuse a value that no JSON text within the limits stands for."""
    _check_depth_of(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidSchema(f"the value is no JSON: {error}") from error
    _check_size(text)


def _check_depth_of(value: Any) -> None:
    """Refuse a value nested too deeply, level by level instead of by recursion."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        if not level:
            return
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    raise InvalidSchema(f"the JSON is nested more than {MAX_JSON_DEPTH} levels deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidSchema(f'the attribute "{twice}" is there twice in one object')
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
