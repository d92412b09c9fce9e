"""The topics in force, by name and by id."""

import re
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from kio.schema.errors import ErrorCode
from prometheus_client import Counter

from bus.broker.admission import Demands
from bus.broker.partition import Partition
from bus.broker.storage.topics import StoredPartition, StoredTopic
from bus.telemetry import Telemetry

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def name_problem(name: str) -> str:
    """Return why a topic cannot have this name; empty if it can. Kafka's rules (Topic.java)."""
    if name in {".", ".."} or not _LEGAL.fullmatch(name):
        return (
            "topic names have 1 to 249 ASCII letters, digits, dots, underscores and hyphens, and "
            "are not . or .."
        )
    return ""


class Topic:
    """A topic: its partitions by index and the configs that were set.

    Attributes:
        stamped: whether its records carry the time when they were appended.
        limit: the largest batch, in bytes.
        demands: what it demands of the batches that are written to it.
    """

    def __init__(self, stored: StoredTopic, default_limit: int) -> None:
        self.number, self.name, self.id = stored.number, stored.name, stored.id
        self.partitions: list[Partition] = []
        self._default_limit = default_limit
        self._counters: tuple[Counter, Counter] | None = None
        self.configure(stored.configs)
        self.extend(stored.partitions)

    def produced(self, telemetry: Telemetry, records: int, size: int) -> None:
        """Count a stored batch."""
        if self._counters is None:
            self._counters = (
                telemetry.produced_records.labels(self.name),
                telemetry.produced_bytes.labels(self.name),
            )
        self._counters[0].inc(records)
        self._counters[1].inc(size)

    def configure(self, configs: Mapping[str, str]) -> None:
        """Take other configs."""
        self.configs = dict(configs)
        self.stamped = configs.get("message.timestamp.type") == "LogAppendTime"
        self.limit = int(configs.get("max.message.bytes", self._default_limit))
        self.demands = Demands.of(configs, self._default_limit)

    def extend(self, stored: Iterable[StoredPartition]) -> None:
        """Take further partitions."""
        for number, start, end, size in stored:
            partition = Partition(number, start, end, size)
            if end < start:
                partition.end = start
                partition.damage = "the last row fails its checksum"
            self.partitions.append(partition)


class Topics:
    """All topics."""

    def __init__(self) -> None:
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[UUID, Topic] = {}
        self._by_number: dict[int, Partition] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Topic | None:
        """Return the topic of this name."""
        return self._by_name.get(name)

    def by_id(self, id_: UUID | None) -> Topic | None:
        """Return the topic of this id."""
        return self._by_id.get(id_) if id_ is not None else None

    def add(self, topic: Topic) -> None:
        """Put a topic in force, or take note that it changed."""
        self._by_name[topic.name] = topic
        self._by_id[topic.id] = topic
        self._by_number |= {partition.number: partition for partition in topic.partitions}

    def remove(self, topic: Topic) -> None:
        """Take a topic out of force."""
        del self._by_name[topic.name], self._by_id[topic.id]
        for partition in topic.partitions:
            del self._by_number[partition.number]
            partition.forget()

    def numbered(self, number: int) -> Partition | None:
        """Return the partition of this number."""
        return self._by_number.get(number)

    def partition(self, name: str, index: int) -> Partition | None:
        """Return a topic's partition."""
        topic = self._by_name.get(name)
        if topic is None or not 0 <= index < len(topic.partitions):
            return None
        return topic.partitions[index]

    def partition_count(self) -> int:
        """Return the number of partitions of all topics."""
        return len(self._by_number)

    def place(self, wanted: Partition) -> str:
        """Return the topic and the index of a partition, for people."""
        for topic in self:
            for index, partition in enumerate(topic.partitions):
                if partition is wanted:
                    return f"{topic.name}/{index}"
        return f"partition {wanted.number}"

    def damaged(self) -> int:
        """Return the number of partitions that are out of service."""
        return sum(bool(partition.damage) for partition in self._by_number.values())

    def creation_problem(self, name: str) -> tuple[ErrorCode, str]:
        """Return why no topic of this name can be made; (none, "") if one can."""
        if reason := name_problem(name):
            return ErrorCode.invalid_topic_exception, reason
        if name in self._by_name:
            return ErrorCode.topic_already_exists, f"Topic '{name}' already exists."
        # Kafka's metrics do not tell . from _, so it refuses names that differ in nothing else.
        plain = name.replace(".", "_")
        for other in self._by_name:
            if other.replace(".", "_") == plain:
                return ErrorCode.invalid_topic_exception, f"it collides with topic '{other}'"
        return ErrorCode.none, ""
