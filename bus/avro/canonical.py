"""One text for one schema, whatever spaces and order of attributes it was written with.

It is the text that Apache Avro's Java library prints for a parsed schema, which is what Confluent's
registry keeps and hands out: compact JSON, attributes in a fixed order, names as short as their
place allows, documentation, defaults, aliases and further attributes kept. Two schemas are the same
if their canonical texts are.
"""

import json
from collections.abc import Mapping
from typing import Any

from bus.avro.types import PRIMITIVES, Schema

# Attributes with a place of their own; any other is kept as it is.
_RESERVED = frozenset(
    {"type", "name", "namespace", "doc", "fields", "items", "values", "symbols", "size", "aliases"}
)
_FIELD_RESERVED = frozenset({"name", "type", "doc", "default", "order", "aliases"})


def canonical(schema: Schema) -> str:
    """Return the canonical text of a schema."""
    return json.dumps(_type(schema.source, ""), ensure_ascii=False, separators=(",", ":"))


def _type(value: Any, enclosing: str) -> Any:
    if isinstance(value, str):
        return _reference(value, enclosing)
    if isinstance(value, list):
        return [_type(branch, enclosing) for branch in value]
    match value["type"]:
        case "array":
            return {"type": "array", "items": _type(value["items"], enclosing), **_further(value)}
        case "map":
            return {"type": "map", "values": _type(value["values"], enclosing), **_further(value)}
        case "record" | "error" | "enum" | "fixed" as kind:
            return _named(kind, value, enclosing)
    further = _further(value) if value["type"] in PRIMITIVES else {}
    return {"type": value["type"], **further} if further else _reference(value["type"], enclosing)


def _reference(name: str, enclosing: str) -> str:
    namespace, _, short = name.rpartition(".")
    return short if namespace == enclosing and short not in PRIMITIVES else name


def _named(kind: str, value: Mapping[str, Any], enclosing: str) -> dict[str, Any]:
    before, _, name = value["name"].rpartition(".")
    namespace = before or value.get("namespace", enclosing)
    text: dict[str, Any] = {"type": kind, "name": name}
    if namespace != enclosing:
        text["namespace"] = namespace
    text |= _kept(value, "doc")
    if kind == "enum":
        text |= _kept(value, "symbols", "default")
    elif kind == "fixed":
        text |= _kept(value, "size")
    else:
        text["fields"] = [_field(field, namespace) for field in value["fields"]]
    text |= {k: v for k, v in _further(value).items() if k not in text}
    if aliases := value.get("aliases"):
        text["aliases"] = [_reference(alias, namespace) for alias in aliases]
    return text


def _field(value: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    text = {"name": value["name"], "type": _type(value["type"], namespace)}
    text |= _kept(value, "doc", "default")
    if value.get("order", "ascending") != "ascending":
        text["order"] = value["order"]
    if value.get("aliases"):
        text["aliases"] = value["aliases"]
    return text | {k: v for k, v in value.items() if k not in _FIELD_RESERVED}


def _kept(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}


def _further(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name not in _RESERVED}
