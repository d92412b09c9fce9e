"""Topics, configurations, groups and their positions."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    ConfigResource,
    NewTopic,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from bus.admin.connection import TIMEOUT, Connection
from bus.errors import Conflict, InvalidContract, InvalidSettings, NotFound
from bus.settings import KafkaSettings

SCRAM_ITERATIONS = 8192
"""How often SCRAM hashes a password, so that guessing one from what is stored takes long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it shall be."""

    name: str
    partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMember:
    """One member of a consumer group, and the partitions that it has."""

    member_id: str
    client_id: str
    host: str
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A consumer group: Kafka's word for its state (``stable``, ``empty``, …) and its members."""

    group: str
    state: str
    members: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Who is there, and who leads what.

    Args:
        brokers: host and port by number.
        leaders: the number of the broker that leads each partition; -1 where there is none.
        lagging: partitions that have fewer copies in step than they shall have.
    """

    brokers: Mapping[int, str]
    leaders: Mapping[tuple[str, int], int]
    lagging: tuple[tuple[str, int], ...]


class Admin(Connection):
    """Administers the engine."""

    async def ensure_topic(self, spec: TopicSpec) -> bool:
        """Make a topic unless it is there; return whether it was made now.

        Raises:
            Conflict: it is there with another number of partitions.
            InvalidContract: the engine refuses its name, number of partitions or configuration.
            InvalidSettings: there are fewer brokers than it shall have copies.
            NotAuthorised: this user may not make it.
            BusUnavailable: the engine cannot be reached.
        """
        # Looked up first: any broker knows, while only the controller can make one, and a cluster
        # may be without for a while.
        there, made = (await self.topics()).get(spec.name), False
        if there is None:
            made = await self._make(spec)
            there = await self._settled(spec.name, there=True)
        if there != spec.partitions:
            raise Conflict(
                f"the topic has {there} partitions, its contract says {spec.partitions}",
                where=spec.name,
                remedy="the number of partitions is fixed for good; a new major version of "
                "the contract is a new topic",
            )
        return made

    async def _make(self, spec: TopicSpec) -> bool:
        """Make a topic; return False if another one was quicker."""
        try:
            new = NewTopic(
                spec.name,
                num_partitions=spec.partitions,
                replication_factor=self._kafka.replication_factor,
                config=dict(spec.configs),
            )
            await self._each(
                spec.name,
                lambda c: c.create_topics([new], request_timeout=TIMEOUT),
                f"Create on the topic {spec.name}",
            )
        except Conflict:
            return False
        except InvalidSettings as error:
            raise too_few_brokers(
                self._kafka, len(await self.brokers()), f"the topic {spec.name}"
            ) from error
        except (ValueError, OverflowError) as error:  # refused before anything was sent
            raise InvalidContract(str(error), where=spec.name) from error
        return True

    async def topics(self) -> dict[str, int]:
        """Return every topic with its number of partitions."""
        metadata = await self._call(lambda c: c.list_topics(timeout=TIMEOUT), self._kafka.bootstrap)
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    async def see(self, topic: str) -> int:
        """Return a topic's partitions; unlike `topics`, tell what is hidden from what is gone.

        Raises:
            NotAuthorised: this user may not see it, whether it exists or not.
            NotFound: the topic does not exist.
        """
        return len((await self._described(topic)).partitions)

    async def topic_id(self, topic: str) -> str:
        """Return the id that the engine gave a topic: another one if it is made anew.

        Raises:
            NotAuthorised, NotFound: as for `see`.
        """
        return str((await self._described(topic)).topic_id)

    async def _described(self, topic: str) -> Any:
        asked = TopicCollection([topic])
        return await self._each(
            topic,
            lambda c: c.describe_topics(asked, request_timeout=TIMEOUT),
            f"Describe on the topic {topic}",
        )

    async def cluster_id(self) -> str:
        """Return the id that the engine gives itself."""
        found = await self._call(lambda c: c.list_topics(timeout=TIMEOUT), self._kafka.bootstrap)
        return str(found.cluster_id)

    async def brokers(self, *, timeout: float = TIMEOUT) -> dict[int, str]:
        """Return the engine's brokers: host and port by number.

        Args:
            timeout: seconds that the answer may take.
        """
        found = await self._call(lambda c: c.list_topics(timeout=timeout), self._kafka.bootstrap)
        return {one.id: f"{one.host}:{one.port}" for one in found.brokers.values()}

    async def layout(self) -> Layout:
        """Return brokers, partitions and their leaders, all with one request."""
        found = await self._call(lambda c: c.list_topics(timeout=TIMEOUT), self._kafka.bootstrap)
        parts = {(name, p.id): p for name, t in found.topics.items() for p in t.partitions.values()}
        return Layout(
            brokers={one.id: f"{one.host}:{one.port}" for one in found.brokers.values()},
            leaders={place: part.leader for place, part in parts.items()},
            lagging=tuple(at for at, part in parts.items() if len(part.isrs) < len(part.replicas)),
        )

    async def set_password(self, user: str, password: str) -> None:
        """Make a user who logs in by SCRAM as we do, or give one another password.

        Raises:
            NotAuthorised: this needs Alter on the cluster.
        """
        weaker = self._kafka.sasl_mechanism == "SCRAM-SHA-256"
        mechanism = ScramMechanism.SCRAM_SHA_256 if weaker else ScramMechanism.SCRAM_SHA_512
        scram = ScramCredentialInfo(mechanism, SCRAM_ITERATIONS)
        wanted = [UserScramCredentialUpsertion(user, scram, password.encode())]
        await self._each(
            user,
            lambda c: c.alter_user_scram_credentials(wanted, request_timeout=TIMEOUT),
            "Alter on the cluster",
        )

    async def configs(self, topic: str) -> dict[str, str]:
        """Return a topic's configuration.

        Raises:
            NotFound: the topic does not exist.
            NotAuthorised: this user may not see it.
        """
        resource = ConfigResource(ResourceType.TOPIC, topic)
        found = await self._each(
            topic,
            lambda c: c.describe_configs([resource], request_timeout=TIMEOUT),
            f"DescribeConfigs on the topic {topic}",
        )
        return {name: entry.value for name, entry in found.items()}

    async def delete_topic(self, topic: str) -> None:
        """Delete a topic and all it holds.

        Raises:
            NotFound: the topic does not exist.
        """
        await self._each(
            topic,
            lambda c: c.delete_topics([topic], request_timeout=TIMEOUT),
            f"Delete on the topic {topic}",
        )
        await self._settled(topic, there=False)

    async def groups(self) -> list[str]:
        """Return the names of all consumer groups, in order."""
        found = await self._call(_listed_groups, self._kafka.bootstrap)
        return sorted(group.group_id for group in found.valid)

    async def describe_group(self, group: str) -> GroupState:
        """Return a group's state and members.

        Raises:
            NotFound: there is no such group.
        """
        found = await self._each(
            group,
            lambda c: c.describe_consumer_groups([group], request_timeout=TIMEOUT),
            f"Describe on the group {group}",
        )
        state = found.state.name.lower().replace("_", "-")
        if state == "dead":
            raise NotFound("there is no such group", where=group)
        members = tuple(
            GroupMember(
                member_id=member.member_id,
                client_id=member.client_id,
                host=member.host,
                partitions=tuple(
                    (place.topic, place.partition) for place in member.assignment.topic_partitions
                ),
            )
            for member in found.members
        )
        return GroupState(group=group, state=state, members=members)

    async def group_offsets(self, group: str) -> dict[tuple[str, int], int]:
        """Return a group's committed positions; empty if it never committed any."""
        asked = [ConsumerGroupTopicPartitions(group)]
        found = await self._each(
            group,
            lambda c: c.list_consumer_group_offsets(asked, request_timeout=TIMEOUT),
            f"Describe on the group {group}",
        )
        return {
            (place.topic, place.partition): place.offset
            for place in found.topic_partitions
            if place.error is None and place.offset >= 0
        }

    async def set_positions(
        self, group: str, positions: Mapping[tuple[str, int], tuple[int, str]]
    ) -> None:
        """Commit positions in a group's name, which has no members.

        Args:
            group: whose positions.
            positions: an offset, and what stands beside it, for each topic and partition.

        Raises:
            Conflict: the group has members.
            NotFound: a topic does not exist.
            NotAuthorised: this needs Read on the group and on its topics.
        """
        places = [
            TopicPartition(topic, partition, offset, metadata)
            for (topic, partition), (offset, metadata) in positions.items()
        ]
        asked = [ConsumerGroupTopicPartitions(group, places)]
        await self._call(lambda c: _altered(c, asked), group, f"Read on the group {group}")

    async def _settled(self, topic: str, *, there: bool) -> int:
        """Return a topic's partitions once the brokers know what their controller has done.

        The controller answers for itself; brokers hear of it a moment later.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + TIMEOUT
        while True:
            metadata = await self._call(
                lambda c: c.list_topics(timeout=TIMEOUT), self._kafka.bootstrap
            )
            found = metadata.topics.get(topic)
            led = found is not None and all(one.leader >= 0 for one in found.partitions.values())
            if led if there else found is None:
                return len(found.partitions) if found else 0
            if clock() > deadline:
                raise self._unavailable(f"no broker knows what became of {topic}")
            await asyncio.sleep(0.05)


def too_few_brokers(kafka: KafkaSettings, brokers: int, topic: str = "a topic") -> InvalidSettings:
    """Return the error for more copies of a topic than there are brokers to keep them."""
    there = f"there {'is 1 broker' if brokers == 1 else f'are {brokers} brokers'}"
    asked, remedy = "kafka.replication_factor is not set, and the cluster's own is more", ""
    if kafka.replication_factor > 0:
        asked = f"kafka.replication_factor is {kafka.replication_factor}"
    else:
        remedy = ", or lower the cluster's default.replication.factor"
    return InvalidSettings(
        f"{topic} cannot have as many copies: {asked}, and {there}",
        where=kafka.bootstrap,
        remedy=f"set kafka.replication_factor to {max(brokers, 1)} at the most, or add brokers"
        + remedy,
    )


def _listed_groups(client: Any) -> Any:
    """Ask for all groups; what only one of the brokers complains of counts like any error."""
    found = client.list_consumer_groups(request_timeout=TIMEOUT).result(TIMEOUT + 5)
    for error in found.errors:
        raise error if isinstance(error, KafkaException) else KafkaException(error)
    return found


def _altered(client: Any, asked: Sequence[ConsumerGroupTopicPartitions]) -> None:
    """Move positions; what only one of them complains of counts like any error."""
    (moving,) = client.alter_consumer_group_offsets(asked, request_timeout=TIMEOUT).values()
    for place in moving.result(TIMEOUT + 5).topic_partitions:
        if place.error is not None:
            raise KafkaException(place.error)
