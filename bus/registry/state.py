"""What the registry knows: a fold over the journal's entries, pure.

Ids are given in the order of the chain, so every node that has read as far gives the same. Nothing
here depends on how a schema is parsed: a later version of this program that parses more strictly
must still come to the same ids.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bus.avro.compatibility import LEVELS
from bus.avro.schema import parse
from bus.avro.types import Schema
from bus.journal import Entry

SCHEMA, LEVEL, CONTRACT = "schema", "level", "contract"
"""The kinds of entries that have an effect here."""

EXPECTED = "expected_interval"
"""The field of a contract that says how often an event is to be expected."""

DEFAULT_LEVEL = "FULL_TRANSITIVE"


class Version(NamedTuple):
    """A schema under a subject; versions count from 1."""

    subject: str
    number: int
    id: int
    text: str


class State:
    """The subjects, schemas, levels and contracts that are in force."""

    def __init__(self) -> None:
        self.global_level = DEFAULT_LEVEL
        self.bodies: dict[int, bytes] = {}
        """The answer to ``GET /schemas/ids/{id}``, encoded once."""
        self._texts: list[str] = []
        self._ids: dict[str, int] = {}
        self._subjects: dict[str, list[int]] = {}
        self._places: dict[int, list[tuple[str, int]]] = {}
        self._levels: dict[str, str] = {}
        self._contracts: dict[str, Mapping[str, Any]] = {}
        self._expected_since: dict[str, float] = {}
        self._parsed: dict[int, Schema] = {}
        self._effects: dict[str, Callable[[Entry], None]] = {
            SCHEMA: self._on_schema,
            LEVEL: self._on_level,
            CONTRACT: self._on_contract,
        }

    def apply(self, entry: Entry) -> None:
        """Let an entry take effect; one of an unknown kind or an unknown shape has none."""
        if effect := self._effects.get(entry.kind):
            effect(entry)

    def text(self, schema_id: int) -> str | None:
        """Return a schema's canonical text."""
        return self._texts[schema_id - 1] if 0 < schema_id <= len(self._texts) else None

    def schema(self, schema_id: int) -> Schema:
        """Return a schema, parsed once."""
        if schema_id not in self._parsed:
            self._parsed[schema_id] = parse(self._texts[schema_id - 1])
        return self._parsed[schema_id]

    @property
    def last_id(self) -> int:
        """The highest id given so far."""
        return len(self._texts)

    @property
    def subjects(self) -> list[str]:
        """Every subject, in alphabetical order."""
        return sorted(self._subjects)

    def versions(self, subject: str) -> list[Version]:
        """Return a subject's versions, oldest first; none if there is no such subject."""
        return [
            Version(subject, number, schema_id, self._texts[schema_id - 1])
            for number, schema_id in enumerate(self._subjects.get(subject, ()), 1)
        ]

    def find(self, subject: str, text: str) -> Version | None:
        """Return the version of a subject that is this schema."""
        return next((v for v in self.versions(subject) if v.text == text), None)

    def places(self, schema_id: int) -> list[tuple[str, int]]:
        """Return the subjects and versions that a schema stands under."""
        return sorted(self._places.get(schema_id, ()))

    def level(self, subject: str) -> str:
        """Return the compatibility level in force for a subject."""
        return self._levels.get(subject, self.global_level)

    def own_level(self, subject: str) -> str | None:
        """Return the level that was set for this subject, if one was."""
        return self._levels.get(subject)

    @property
    def topics(self) -> list[str]:
        """The topics of all contracts in force, in alphabetical order."""
        return sorted(self._contracts)

    def contract(self, topic: str) -> Mapping[str, Any] | None:
        """Return a contract as it was put in force."""
        return self._contracts.get(topic)

    def expected_since(self, topic: str) -> float:
        """Return since when events are expected as often as a contract says.

        Seconds since 1970, by the clock of who put it in force; 0 if there is no such contract.
        """
        return self._expected_since.get(topic, 0.0)

    def contract_of(self, subject: str) -> str | None:
        """Return the topic of the contract that a subject belongs to."""
        topic = subject.removesuffix("-value")
        return topic if topic != subject and topic in self._contracts else None

    def digest(self) -> str:
        """Return a hash over everything that is known: equal for nodes that agree."""
        known = (
            self._texts,
            self._subjects,
            self.global_level,
            self._levels,
            self._contracts,
        )
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def _on_schema(self, entry: Entry) -> None:
        match entry.body:
            case {"subject": str(subject), "schema": str(text)}:
                self._register(subject, text)

    def _on_level(self, entry: Entry) -> None:
        match entry.body:
            case {"subject": None, "level": str(level)} if level in LEVELS:
                self.global_level = level
            case {"subject": str(subject), "level": str(level)} if level in LEVELS:
                self._levels[subject] = level

    def _on_contract(self, entry: Entry) -> None:
        match entry.body:
            case {
                "topic": str(topic),
                "contract": {"versions": [*_]} as contract,
                "schemas": [*texts],
                "level": str(level),
            } if level in LEVELS and all(isinstance(text, str) for text in texts):
                subject = f"{topic}-value"
                for text in texts:
                    self._register(subject, text)
                self._levels[subject] = level
                before = self._contracts.get(topic, {})
                if before.get(EXPECTED) != contract.get(EXPECTED) or not before:
                    self._expected_since[topic] = entry.at / 1000
                self._contracts[topic] = contract

    def _register(self, subject: str, text: str) -> None:
        schema_id = self._ids.get(text)
        if schema_id is None:
            self._texts.append(text)
            schema_id = self._ids[text] = len(self._texts)
            self.bodies[schema_id] = encode({"schema": text})
        ids = self._subjects.setdefault(subject, [])
        if schema_id not in ids:
            ids.append(schema_id)
            self._places.setdefault(schema_id, []).append((subject, len(ids)))


def encode(value: Any) -> bytes:
    """Return compact JSON in UTF-8; half a surrogate pair, which it cannot hold, becomes ``?``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")
