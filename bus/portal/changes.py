"""A contract's fields, and what changed between two of its versions. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from bus.avro.types import below


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of an event's data, at whatever depth.

    Args:
        path: its path; ``[]`` are the items of an array, ``{}`` the values of a map.
        type: its type in a few words.
        doc: what it means.
        symbols: what it may be, if it is an enum.
        default: what is read where it is missing, as JSON; None: it is never missing.
    """

    path: str
    type: str
    doc: str
    symbols: tuple[str, ...] = ()
    default: str | None = None


class Kind(Enum):
    """How a field changed."""

    ADDED = "added"
    REMOVED = "removed"
    RETYPED = "retyped"
    GAINED = "gained"
    """Symbols."""
    LOST = "lost"
    """Symbols."""
    DEFAULT = "default"
    DOCUMENTED = "documented"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change from a version to the next.

    Args:
        kind: what kind.
        path: which field.
        old, new: what was and is: a type, symbols, or a default; None: no default.
    """

    kind: Kind
    path: str
    old: str | None = None
    new: str | None = None


def fields(schema: Any) -> list[Field]:
    """Return all fields of a record, those of records in it after the one that they are in.

    Args:
        schema: the record as JSON values.
    """
    return list(_fields(schema, ""))


def changes(old: Any, new: Any) -> list[Change]:
    """Return what changed, in the order of the new version's fields; removed ones come last.

    Args:
        old, new: two versions as JSON values.
    """
    before = {field.path: field for field in fields(old)}
    after = {field.path: field for field in fields(new)}
    found: list[Change] = []
    for path, field in after.items():
        if path in before:
            found += _between(before[path], field)
        elif not _inside(path, after.keys() - before.keys()):
            kind = Kind.ADDED
            found.append(Change(kind=kind, path=path, old=field.default, new=field.type))
    gone = before.keys() - after.keys()
    for path, field in before.items():
        if path in gone and not _inside(path, gone):
            found.append(Change(kind=Kind.REMOVED, path=path, old=field.type))
    return found


def _between(old: Field, new: Field) -> Iterator[Change]:
    if old.type != new.type:
        yield Change(kind=Kind.RETYPED, path=new.path, old=old.type, new=new.type)
    gained = [symbol for symbol in new.symbols if symbol not in old.symbols]
    lost = [symbol for symbol in old.symbols if symbol not in new.symbols]
    if gained and old.symbols:
        yield Change(kind=Kind.GAINED, path=new.path, new=", ".join(gained))
    if lost and new.symbols:
        yield Change(kind=Kind.LOST, path=new.path, old=", ".join(lost))
    if old.default != new.default:
        yield Change(kind=Kind.DEFAULT, path=new.path, old=old.default, new=new.default)
    if old.doc != new.doc:
        yield Change(kind=Kind.DOCUMENTED, path=new.path)


def _inside(path: str, others: Any) -> bool:
    """Whether a path lies within one of others: what is in a new record is new with it."""
    return any(path.startswith((f"{one}.", f"{one}[", f"{one}{{")) for one in others)


def _fields(value: Any, path: str) -> Iterator[Field]:
    """Yield the fields below a type."""
    if isinstance(value, list):
        for branch in value:
            yield from _fields(branch, path)
        return
    if not isinstance(value, Mapping):
        return
    kind = value["type"]
    if kind in ("record", "error"):
        for inner in value["fields"]:
            place = below(path, inner["name"])
            default = (
                json.dumps(inner["default"], ensure_ascii=False) if "default" in inner else None
            )
            yield Field(
                path=place,
                type=written(inner["type"]),
                doc=str(inner.get("doc", "")),
                symbols=_symbols(inner["type"]),
                default=default,
            )
            yield from _fields(inner["type"], place)
    elif kind == "array":
        yield from _fields(value["items"], f"{path}[]")
    elif kind == "map":
        yield from _fields(value["values"], f"{path}{{}}")
    elif not isinstance(kind, str):
        yield from _fields(kind, path)


def written(type_: Any) -> str:
    """Return a type in a few words."""
    if isinstance(type_, list):
        return " | ".join(written(branch) for branch in type_)
    if not isinstance(type_, Mapping):
        return str(type_)
    kind = type_["type"]
    if kind == "array":
        return f"array of {written(type_['items'])}"
    if kind == "map":
        return f"map of {written(type_['values'])}"
    if not isinstance(kind, str):
        return written(kind)
    logical, name = type_.get("logicalType"), type_.get("name")
    return f"{kind} ({logical})" if logical else f"{kind} {name}" if name else kind


def _symbols(type_: Any) -> tuple[str, ...]:
    branches: Sequence[Any] = type_ if isinstance(type_, list) else [type_]
    for branch in branches:
        if isinstance(branch, Mapping) and branch["type"] == "enum":
            return tuple(branch["symbols"])
    return ()
