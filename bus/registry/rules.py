"""What may be changed, and how: pure decisions over the state.

A decision either is the answer already, or the entry that has to be written to the journal first;
it raises where the change is refused. Because the journal takes an entry only if nothing else was
written in between, what was decided here still holds where the entry stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bus.avro.canonical import canonical
from bus.avro.compatibility import LEVELS, problems
from bus.avro.limits import admit
from bus.avro.types import Schema
from bus.contracts import Contract
from bus.errors import InvalidSchema
from bus.registry import refusals
from bus.registry.state import CONTRACT, DEFAULT_LEVEL, LEVEL, SCHEMA, State, Version

T = TypeVar("T")

FIXED_FOR_GOOD = ("key", "partitions")
"""What no later edition of a contract may change: it decides where a key's events lie."""


@dataclass(frozen=True, slots=True)
class Write(Generic[T]):
    """An entry to be written, and the answer once it counts."""

    kind: str
    body: Mapping[str, Any]
    answer: Callable[[State], T]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schema that somebody asks about: parsed, within the limits, with its canonical text."""

    schema: Schema
    text: str


def candidate(source: Any) -> Candidate:
    """Parse a schema that was sent.

    Raises:
        Refusal: 42201, it is no schema or goes past the limits.
    """
    try:
        schema = admit(source)
    except InvalidSchema as error:
        raise refusals.invalid_schema(str(error)) from error
    return Candidate(schema, canonical(schema))


def register(state: State, subject: str, new: Candidate) -> Version | Write[Version]:
    """Decide on registering a schema under a subject.

    Raises:
        Refusal: 40901, it breaks a promise of the level in force.
    """
    if found := state.find(subject, new.text):
        return found
    if broken := breaches(state, subject, new, state.versions(subject)):
        raise refusals.incompatible(subject, state.level(subject), broken)
    return Write(
        SCHEMA,
        {"subject": subject, "schema": new.text},
        lambda after: _registered(after, subject, new.text),
    )


def breaches(state: State, subject: str, new: Candidate, history: list[Version]) -> list[str]:
    """Return a sentence for each promise to earlier versions that a schema would break."""
    earlier = [state.schema(version.id) for version in history]
    return list(problems(state.level(subject), new.schema, earlier))


def set_level(state: State, subject: str | None, level: str) -> Write[None] | None:
    """Decide on setting a subject's level, or the one for all others if the subject is None.

    Raises:
        Refusal: 42205, the subject is a contract's and the level promises less than contracts do.
    """
    if subject is not None and level != DEFAULT_LEVEL and (topic := state.contract_of(subject)):
        raise refusals.not_permitted(
            f"'{subject}' belongs to the contract of '{topic}', and contracts are "
            f"{DEFAULT_LEVEL}: hundreds of systems upgrade when they like"
        )
    current = state.global_level if subject is None else state.own_level(subject)
    if current == level:
        return None
    return Write(LEVEL, {"subject": subject, "level": level}, lambda _: None)


def known_level(level: Any) -> str:
    """Return a level's name as it was sent in any case.

    Raises:
        Refusal: 42203, there is no such level.
    """
    if not isinstance(level, str) or level.upper() not in LEVELS:
        raise refusals.invalid_level(level)
    return level.upper()


def put_contract(state: State, contract: Contract) -> dict[str, Any] | Write[dict[str, Any]]:
    """Decide on putting a contract in force: its versions, its level and itself in one entry.

    Raises:
        Refusal: 40901, a version breaks a promise to an earlier one; 40991, it changes what is
            fixed, or what is registered already; 42201 and 42291, it is not valid.
    """
    topic = contract.topic
    _check_fixed(state, contract)
    candidates = [candidate(version) for version in contract.versions]
    texts = [new.text for new in candidates]
    if len(set(texts)) < len(texts):
        raise refusals.invalid_contract(f"{topic}: two of its versions are the same schema")
    check_versions(state, topic, candidates)
    source = _source(contract)
    if state.contract(topic) == source and state.own_level(f"{topic}-value") == DEFAULT_LEVEL:
        return described(state, topic)
    body = {"topic": topic, "contract": source, "schemas": texts, "level": DEFAULT_LEVEL}
    return Write(CONTRACT, body, lambda after: described(after, topic))


def described(state: State, topic: str) -> dict[str, Any]:
    """Return a contract in force with the ids of its schemas; version 1 comes first.

    Raises:
        Refusal: 40491, there is none.
    """
    contract = state.contract(topic)
    if contract is None:
        raise refusals.contract_not_found(topic)
    count = len(contract["versions"])
    ids = [version.id for version in state.versions(f"{topic}-value")[:count]]
    return {**contract, "schema_ids": ids}


def _source(contract: Contract) -> dict[str, Any]:
    """Return a contract as the journal keeps it; ids follow from the order of the journal."""
    return {name: value for name, value in contract.to_json().items() if name != "schema_ids"}


def _check_fixed(state: State, contract: Contract) -> None:
    before = state.contract(contract.topic)
    if before is None:
        return
    now = _source(contract)
    for name in FIXED_FOR_GOOD:
        if now.get(name) != before.get(name):
            reason = f"its {name} would change, which is fixed for good"
            raise refusals.contract_conflict(contract.topic, reason)
    if len(now["versions"]) < len(before["versions"]):
        reason = f"version {len(before['versions'])} is in force already and is not in it"
        raise refusals.contract_conflict(contract.topic, reason)


def check_versions(state: State, topic: str, candidates: list[Candidate]) -> None:
    """Hold a contract's versions to those that are registered, and the new ones to all before.

    Raises:
        Refusal: 40991, a version is registered with another schema; 40901, one breaks a promise.
    """
    registered = state.versions(f"{topic}-value")
    for number, (new, old) in enumerate(zip(candidates, registered, strict=False), 1):
        if new.text != old.text:
            reason = f"version {number} is registered with another schema, and versions are fixed"
            raise refusals.contract_conflict(topic, reason)
    history = [state.schema(version.id) for version in registered]
    for new in candidates[len(registered) :]:
        if broken := list(problems(DEFAULT_LEVEL, new.schema, history)):
            raise refusals.incompatible(f"{topic}-value", DEFAULT_LEVEL, broken)
        history.append(new.schema)


def _registered(state: State, subject: str, text: str) -> Version:
    version = state.find(subject, text)
    if version is None:  # the entry that said so has just been read
        raise AssertionError(f"{subject} lacks a version that was written")
    return version
