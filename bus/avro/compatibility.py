"""Avro compatibility: can one schema's readers read what the other's writers wrote?

The rules are those of the Avro specification, section "Schema Resolution", as Apache Avro's Java
checker applies them, because Confluent's registry calls that checker: names are compared without
their namespace, and a union may be read where every branch of the writer's is.

Each refusal is a sentence about the change from the old schema to the new one, which names the
field by its path: ``address.street`` for a field of a record, ``[]`` for the items of an array,
``{}`` for the values of a map, ``<Name>`` for the branch of a union that has several.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bus.avro.schema import parse
from bus.avro.types import (
    MISSING,
    Array,
    Enum,
    Fixed,
    Map,
    Named,
    Primitive,
    Record,
    Schema,
    Type,
    Union,
    describe,
    unqualified,
)


class Level(NamedTuple):
    """What a compatibility level promises, and to how many of the earlier versions."""

    new_reads_old: bool
    old_reads_new: bool
    every_version: bool


# fmt: off
LEVELS = {
    "NONE":                Level(False, False, False),
    "BACKWARD":            Level(True,  False, False),
    "BACKWARD_TRANSITIVE": Level(True,  False, True),
    "FORWARD":             Level(False, True,  False),
    "FORWARD_TRANSITIVE":  Level(False, True,  True),
    "FULL":                Level(True,  True,  False),
    "FULL_TRANSITIVE":     Level(True,  True,  True),
}

# Which types a reader of a primitive type widens, beside its own.
PROMOTIONS = {
    "long":   {"int"},
    "float":  {"int", "long"},
    "double": {"int", "long", "float"},
    "string": {"bytes"},
    "bytes":  {"string"},
}
# fmt: on


def problems(level: str, new: Any, history: Sequence[Any]) -> Iterator[str]:
    """Yield one sentence for each promise that a new schema breaks; none if it is compatible.

    Args:
        level: a key of `LEVELS`.
        new: a schema, as `Schema`, JSON text or JSON value.
        history: the schemas of the versions before it, oldest first.

    Raises:
        InvalidSchema: one of the schemas is no Avro.
    """
    promise = LEVELS[level]
    new_schema = _schema(new)
    said: set[str] = set()
    for old in history if promise.every_version else history[-1:]:
        for sentence in _between(promise, _schema(old), new_schema):
            if sentence not in said:
                said.add(sentence)
                yield sentence


def can_read(reader: Any, writer: Any) -> bool:
    """Return whether every datum of the writer's schema can be read with the reader's."""
    return not _Check(_schema(reader), _schema(writer), new_reads=True).findings()


def _schema(value: Any) -> Schema:
    return value if isinstance(value, Schema) else parse(value)


class _Finding(NamedTuple):
    """A change and what it breaks, apart, so that one change that breaks both is said once."""

    path: str
    change: str
    consequence: str = ""


def _between(promise: Level, old: Schema, new: Schema) -> Iterator[str]:
    checks = []
    if promise.new_reads_old:
        checks.append(_Check(new, old, new_reads=True))
    if promise.old_reads_new:
        checks.append(_Check(old, new, new_reads=False))
    broken: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        for path, change, consequence in check.findings():
            broken.setdefault((path, change), []).extend([consequence] if consequence else [])
    for (path, change), consequences in broken.items():
        place = f"`{path}`" if path else "the schema"
        why = f": {' and '.join(consequences)}" if consequences else ""
        yield f"{place} {change}{why}"


class _Check:
    """One reader's schema against one writer's.

    Pairs that were compared are remembered, and a pair that is still being compared is taken to be
    compatible: that is how recursive types come to an end.

    Args:
        new_reads: whether the reader's schema is the newer one; it turns the sentences round.
    """

    def __init__(self, reader: Schema, writer: Schema, *, new_reads: bool) -> None:
        self.reader, self.writer, self.new_reads = reader, writer, new_reads
        self._cannot = (
            "a new reader cannot read old events"
            if new_reads
            else "an old reader cannot read new events"
        )
        self._known: dict[tuple[int, int], tuple[_Finding, ...]] = {}

    def findings(self) -> tuple[_Finding, ...]:
        return self._compare(self.reader.root, self.writer.root)

    def _compare(self, reader: Type, writer: Type) -> tuple[_Finding, ...]:
        reader, writer = self.reader.resolve(reader), self.writer.resolve(writer)
        pair = (id(reader), id(writer))
        if pair not in self._known:
            self._known[pair] = ()
            self._known[pair] = tuple(self._differences(reader, writer))
        return self._known[pair]

    def _differences(self, reader: Type, writer: Type) -> Iterator[_Finding]:
        match reader, writer:
            case (_, Union()) | (Union(), _):
                yield from self._union(reader, writer)
            case Primitive(wanted), Primitive(found):
                if wanted != found and found not in PROMOTIONS.get(wanted, ()):
                    yield self._retyped(reader, writer, _rule(wanted, found))
            case Array(wanted_items), Array(items):
                yield from _under("[]", self._compare(wanted_items, items))
            case Map(wanted_values), Map(values):
                yield from _under("{}", self._compare(wanted_values, values))
            case Enum(), Enum():
                yield from self._renamed(reader, writer)
                yield from self._enum(reader, writer)
            case Fixed(), Fixed():
                yield from self._renamed(reader, writer)
                if reader.size != writer.size:
                    yield self._changed(f"{reader.size} bytes long", f"{writer.size} bytes long")
            case Record(), Record():
                yield from self._renamed(reader, writer)
                yield from self._record(reader, writer)
            case _:
                yield self._retyped(reader, writer)

    def _union(self, reader: Type, writer: Type) -> Iterator[_Finding]:
        """Look for a branch of the reader for each branch of the writer."""
        choices = _Choices([self.reader.resolve(branch) for branch in _branches(reader)])
        branches = [self.writer.resolve(branch) for branch in _branches(writer)]
        several = max(len(choices.substantial), len(_substantial(branches))) > 1
        for branch in branches:
            if isinstance(branch, Primitive) and branch.kind in choices.primitives:
                continue
            related = choices.related(branch)
            outcomes = [self._compare(choice, branch) for choice in related]
            if any(not outcome for outcome in outcomes):
                continue
            # What changed inside a branch says more than that the branch is gone.
            if outcomes and not isinstance(branch, Primitive):
                yield from _under(f"<{_label(branch)}>" if several else "", outcomes[0])
            elif choices.substantial and not several and not _is_null(branch):
                yield from self._compare(choices.substantial[0], branch)
            else:
                verb = "no longer allows" if self.new_reads else "now allows"
                change = f"{verb} {describe(self.writer, branch)}"
                yield _Finding("", change, self._cannot)

    def _enum(self, reader: Enum, writer: Enum) -> Iterator[_Finding]:
        unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if not unknown or reader.default is not None:
            return
        symbols = "symbol " if len(unknown) == 1 else "symbols "
        symbols += " and ".join(f'"{symbol}"' for symbol in unknown)
        if self.new_reads:
            change = f"lost the {symbols}, but has no enum default that a new reader could use"
        else:
            change = f"gained the {symbols}, but had no enum default that an old reader could use"
        yield _Finding("", change)

    def _record(self, reader: Record, writer: Record) -> Iterator[_Finding]:
        written = {field.name: field for field in writer.fields}
        for field in reader.fields:
            names = list(dict.fromkeys(n for n in (field.name, *field.aliases) if n in written))
            if len(names) > 1:
                listed = " and ".join(f"`{name}`" for name in names)
                change = f"may stand for more than one field by its aliases, {listed}"
                yield _Finding(field.name, change, self._cannot)
            elif names:
                name = field.name if self.new_reads else names[0]
                yield from _under(name, self._compare(field.type, written[names[0]].type))
            elif field.default is MISSING and self.new_reads:
                change = "was added without a default that a new reader could use"
                yield _Finding(field.name, change)
            elif field.default is MISSING:
                change = "was removed without a default that an old reader could use"
                yield _Finding(field.name, change)

    def _renamed(self, reader: Named, writer: Named) -> Iterator[_Finding]:
        wanted, found = unqualified(reader.name), unqualified(writer.name)
        if wanted != found and writer.name not in reader.aliases:
            yield self._changed(f"named {wanted}", f"named {found}", " without an alias")

    def _retyped(self, reader: Type, writer: Type, rule: str = "") -> _Finding:
        finding = self._changed(describe(self.reader, reader), describe(self.writer, writer))
        return finding._replace(consequence=finding.consequence + rule)

    def _changed(self, reader: str, writer: str, addition: str = "") -> _Finding:
        old, new = (writer, reader) if self.new_reads else (reader, writer)
        return _Finding("", f"was {old}, is now {new}{addition}", self._cannot)


def _under(step: str, findings: Sequence[_Finding]) -> Iterator[_Finding]:
    """Put findings below a step of the path; names are joined with a dot."""
    for finding in findings:
        dot = "." if step and finding.path and finding.path[0] not in "[{<" else ""
        yield finding._replace(path=f"{step}{dot}{finding.path}")


def _branches(type_: Type) -> Sequence[Type]:
    return type_.branches if isinstance(type_, Union) else (type_,)


def _is_null(type_: Type) -> bool:
    return isinstance(type_, Primitive) and type_.kind == "null"


def _substantial(branches: Sequence[Type]) -> list[Type]:
    return [branch for branch in branches if not _is_null(branch)]


class _Choices:
    """The branches of a reader, found by what they might read, however many there are."""

    def __init__(self, branches: Sequence[Type]) -> None:
        self.substantial = _substantial(branches)
        self.primitives = {branch.kind for branch in branches if isinstance(branch, Primitive)}
        self._by_kind = defaultdict[str, list[Type]](list)
        for branch in branches:
            match branch:
                case Enum() | Fixed() | Record():
                    for name in {unqualified(branch.name), *branch.aliases}:
                        self._by_kind[f"named {name}"].append(branch)
                case _:
                    self._by_kind[type(branch).__name__].append(branch)

    def related(self, branch: Type) -> list[Type]:
        """Return all that could read a branch of the writer; none of the others can."""
        match branch:
            case Enum() | Fixed() | Record():
                names = (unqualified(branch.name), branch.name)
                found = (choice for name in names for choice in self._by_kind[f"named {name}"])
                return list(dict.fromkeys(found))
        return self._by_kind[type(branch).__name__]


def _label(type_: Type) -> str:
    match type_:
        case Primitive(kind):
            return kind
        case Enum() | Fixed() | Record():
            return unqualified(type_.name)
    return type(type_).__name__.lower()


def _rule(reader: str, writer: str) -> str:
    """Return the rule of promotions where it goes the other way only."""
    if reader in PROMOTIONS.get(writer, ()):
        return f" (Avro widens {reader} to {writer}, but never narrows {writer} to {reader})"
    return ""
