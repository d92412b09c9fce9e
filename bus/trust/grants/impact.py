"""Who loses what by a change of a contract, by the grants that are live. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bus.avro.types import Schema, Type, below, describe
from bus.contracts import Contract
from bus.errors import InvalidGrant
from bus.trust.grants.conditions import Among
from bus.trust.grants.fitting import check_condition, fields_of, newest, symbols_of
from bus.trust.grants.grant import Grant
from bus.trust.grants.plain import Language
from bus.trust.grants.terms import Terms


@dataclass(frozen=True, slots=True)
class Dropped:
    """A field that is there no more, by its path."""

    path: str


@dataclass(frozen=True, slots=True)
class Retyped:
    """A field of another type, by its path; both types in a few words."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """An enum, by its path, that has fewer symbols; those that are gone, in their order."""

    path: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A contract that has no successor on its topic."""


Change: TypeAlias = Dropped | Retyped | Lacking | Closed


@dataclass(frozen=True, slots=True)
class Loss:
    """What a recipient loses of a grant.

    Args:
        grant: the grant.
        change: what it loses it by.
        everything: nothing flows under the grant any more.
    """

    grant: Grant
    change: Change
    everything: bool


def differences(before: Contract, after: Contract | None) -> list[Change]:
    """Return what the newest version of a contract takes away; None after: it is closed."""
    if after is None:
        return [Closed()]
    old, new = newest(before), newest(after)
    return list(_differences(old, old.root, new, new.root, ""))


def impact(
    grants: Iterable[Grant], changes: Sequence[Change], after: Contract | None, at_ms: int
) -> list[Loss]:
    """Return who loses what, in the order of the grants.

    Args:
        grants: those on the contract's topic.
        changes: what `differences` returned.
        after: the contract as it will be; None: it is closed.
        at_ms: now, in milliseconds since 1970; grants that begin later lose, too.
    """
    schema = newest(after) if after is not None else None
    return [
        loss
        for grant in grants
        if grant.phase(at_ms) in ("live", "pending")
        for change in changes
        if (loss := _loss(grant, change, changes, schema)) is not None
    ]


def sentence(loss: Loss, language: Language) -> str:
    """Return a loss in a sentence."""
    terms, german = loss.grant.terms, language == "de"
    if loss.everything:
        rest = "bekommt danach nichts mehr" if german else "gets nothing any more after that"
    elif isinstance(loss.change, Lacking):
        rest = (
            "bekommt danach keinen solchen Wert mehr"
            if german
            else "gets no such value any more after that"
        )
    elif isinstance(loss.change, Retyped):
        rest = "bekommt es danach so" if german else "gets it like that from then on"
    else:
        rest = "bekommt es danach nicht mehr" if german else "does not get it any more after that"
    under = "unter der Freigabe" if german else "under the grant"
    cause = _cause(loss.change, terms.topic, german)
    return f"{cause}: {terms.recipient} {rest}, {under} {loss.grant.id.hex()}."


def _cause(change: Change, topic: str, german: bool) -> str:
    match change:
        case Dropped(path):
            return f'Das Feld "{path}" entfällt' if german else f'The field "{path}" is dropped'
        case Retyped(path, old, new):
            if german:
                return f'Das Feld "{path}" wird von {old} zu {new}'
            return f'The field "{path}" changes from {old} to {new}'
        case Lacking(path, symbols):
            names = ", ".join(symbols)
            if german:
                return f'Das Feld "{path}" kennt {names} nicht mehr'
            return f'The field "{path}" has {names} no more'
        case Closed():
            return f"{topic} endet" if german else f"{topic} ends"


def _differences(
    old: Schema, before: Type, new: Schema, after: Type, path: str
) -> Iterator[Change]:
    there = {field.name: field.type for field in fields_of(new, after)}
    for field in fields_of(old, before):
        place = below(path, field.name)
        if field.name not in there:
            yield Dropped(place)
            continue
        type_ = there[field.name]
        words = describe(old, field.type), describe(new, type_)
        if words[0] != words[1]:
            yield Retyped(place, *words)
            continue
        if gone := _symbols_gone(old, field.type, new, type_):
            yield Lacking(place, gone)
        # A record within itself is described by its name, and is not looked into once more.
        if not _is_within_itself(old, field.type, place):
            yield from _differences(old, field.type, new, type_, place)


def _symbols_gone(old: Schema, before: Type, new: Schema, after: Type) -> tuple[str, ...]:
    """Return the symbols that an enum had and has no more, wherever it is one branch of a type."""
    left = symbols_of(new, after)
    return tuple(one for one in symbols_of(old, before) if one not in left)


def _is_within_itself(schema: Schema, type_: Type, path: str) -> bool:
    """Whether a path has become longer than a schema without recursion can have."""
    return path.count(".") > len(schema.named) and bool(fields_of(schema, type_))


def _loss(
    grant: Grant, change: Change, changes: Sequence[Change], schema: Schema | None
) -> Loss | None:
    """Return what a grant loses by one of the changes; None: nothing."""
    if isinstance(change, Closed) or schema is None:
        return Loss(grant, change, everything=True)
    if isinstance(change, Lacking):
        return _fewer(grant, change)
    if any(
        _touches(change.path, condition.field) and not _can_be_asked(number, grant.terms, schema)
        for number, condition in enumerate(grant.terms.rows)
    ):
        return Loss(grant, change, everything=True)
    if change.path.partition(".")[0] not in grant.terms.fields:
        return None
    dropped = {one.path for one in changes if isinstance(one, Dropped)}
    return Loss(grant, change, everything=dropped.issuperset(grant.terms.fields))


def _fewer(grant: Grant, change: Lacking) -> Loss | None:
    """Return what a grant loses as an enum has fewer symbols; None: nothing.

    A grant whose rows ask for other symbols of it loses none.
    """
    asked = [
        set(one.values)
        for one in grant.terms.rows
        if isinstance(one, Among) and one.field == change.path
    ]
    gone = set(change.symbols)
    if asked:
        wanted = set.intersection(*asked)
        return Loss(grant, change, everything=wanted <= gone) if wanted & gone else None
    given = change.path.partition(".")[0] in grant.terms.fields
    return Loss(grant, change, everything=False) if given else None


def _touches(path: str, field: str) -> bool:
    """Whether a change at a path is one of a field or of what it lies in."""
    return field == path or field.startswith(f"{path}.")


def _can_be_asked(number: int, terms: Terms, schema: Schema) -> bool:
    try:
        check_condition(terms.rows[number], schema)
    except InvalidGrant:
        return False
    return True
