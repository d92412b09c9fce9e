"""A contract as a value, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self

from bus.admin import TopicSpec
from bus.contracts.rules import Places, arguments, check
from bus.contracts.spans import LAST_STATE, duration
from bus.errors import InvalidEvent
from bus.event import key_of

MAX_EVENT_BYTES = 1_048_588
"""``max.message.bytes`` of a contract's topic: Apache Kafka's default, said outright."""


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
        partitions: 1 to 1000, fixed for good, as order is kept per key.
        compatibility: ``FULL_TRANSITIVE``: each version reads each.
        municipality: the field that names the municipality it is about.
        subject: the field that names what it is about; None if there is none, which a restricted
            contract always has: what is disclosed, is disclosed about somebody.
        retention: an ISO 8601 duration, or ``last-state``.
        expected_interval: how often an event is expected at the least (ISO 8601); None: no way to
            tell.
        sensitivity: of each field, by its path.
        versions: the schema's versions; index 0 is version 1.
        examples: data as JSON, by name; at least one.
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
    examples: Mapping[str, Any]
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
        contract = cls(**arguments(value, where))
        check(contract, Places(where, where, where))
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
