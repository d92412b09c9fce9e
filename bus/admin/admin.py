"""Topics, configurations, groups and their positions.

Its calls answer with futures of other threads; here they are awaited, and its errors become ours.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from bus.errors import (
    BusError,
    BusUnavailable,
    Conflict,
    InvalidContract,
    InvalidSettings,
    NotAuthenticated,
    NotAuthorised,
    NotFound,
)
from bus.probe import probe
from bus.settings import KafkaSettings

TIMEOUT = 10.0
"""Seconds that one call may take."""

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


_OURS: dict[int, type[BusError]] = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: NotFound,
    KafkaError._UNKNOWN_TOPIC: NotFound,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError._UNKNOWN_PARTITION: NotFound,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError.GROUP_ID_NOT_FOUND: NotFound,
    KafkaError.TOPIC_ALREADY_EXISTS: Conflict,
    KafkaError.NON_EMPTY_GROUP: Conflict,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: NotAuthorised,
    KafkaError.GROUP_AUTHORIZATION_FAILED: NotAuthorised,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: NotAuthorised,
    KafkaError.SASL_AUTHENTICATION_FAILED: NotAuthenticated,
    KafkaError._AUTHENTICATION: NotAuthenticated,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError.INVALID_CONFIG: InvalidContract,
    KafkaError.INVALID_PARTITIONS: InvalidContract,
    KafkaError.INVALID_REPLICATION_FACTOR: InvalidSettings,
    KafkaError.TOPIC_EXCEPTION: InvalidContract,
    KafkaError._TRANSPORT: BusUnavailable,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError._ALL_BROKERS_DOWN: BusUnavailable,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError._TIMED_OUT: BusUnavailable,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError._RESOLVE: BusUnavailable,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError.REQUEST_TIMED_OUT: BusUnavailable,
    KafkaError.COORDINATOR_NOT_AVAILABLE: BusUnavailable,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS: BusUnavailable,
    KafkaError.NOT_COORDINATOR: BusUnavailable,
}


_COORDINATOR = frozenset(
    {
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What a cluster answers about groups while it makes up its mind who keeps them."""


class Admin:
    """Administers the engine."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._reached = False
        self._trouble: KafkaError | None = None
        self._client: Any = None

    async def close(self) -> None:
        """Let go of the connections."""
        self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

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
        asked = TopicCollection([topic])
        found = await self._each(
            topic,
            lambda c: c.describe_topics(asked, request_timeout=TIMEOUT),
            f"Describe on the topic {topic}",
        )
        return len(found.partitions)

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

    async def _each(
        self, name: str, call: Callable[[Any], Mapping[Any, "Future[Any]"]], right: str
    ) -> Any:
        """Await the only future of a call that answers one for each name it was given.

        Args:
            name: what it is about, for errors.
            call: the call.
            right: what a user needs for it, for errors, too.
        """
        # The library's future has no way to be awaited, and blocks for up to its time limit.
        return await self._call(
            lambda client: next(iter(call(client).values())).result(TIMEOUT + 5), name, right
        )

    async def _call(
        self, call: Callable[[Any], Any], where: str, right: str = "Describe on the cluster"
    ) -> Any:
        if not self._reached:
            await self._reach()
        clock = asyncio.get_running_loop().time
        deadline = clock() + TIMEOUT
        while True:
            try:
                return await asyncio.to_thread(call, self._client)
            except KafkaException as error:
                if error.args[0].code() not in _COORDINATOR or clock() > deadline:
                    raise self._ours(error.args[0], where, right) from error
                await asyncio.sleep(0.1)
            except TimeoutError as error:
                raise BusUnavailable(
                    "no answer came in time", where=self._kafka.bootstrap
                ) from error

    async def _reach(self) -> None:
        """Find out whether the engine is there and lets us in; librdkafka would only time out."""
        await probe(self._kafka)
        self._client = AdminClient({**_config(self._kafka), "error_cb": self._note})
        if self._kafka.security_protocol.startswith("SASL"):
            await self._log_in()
        self._reached = True

    async def _log_in(self) -> None:
        """Ask for anything until there is an answer, or word that the login was refused."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + TIMEOUT
        while True:
            try:
                await asyncio.to_thread(self._client.list_topics, timeout=1.0)
            except KafkaException as error:
                self._client.poll(0)  # hands over what it only says to its error callback
                if self._refused or clock() > deadline:
                    raise self._ours(error.args[0], self._kafka.bootstrap) from error
            else:
                return

    @property
    def _refused(self) -> bool:
        return self._trouble is not None and _OURS.get(self._trouble.code()) is NotAuthenticated

    def _unavailable(self, reason: str) -> BusUnavailable:
        return BusUnavailable(
            f"no broker answers: {reason}",
            where=self._kafka.bootstrap,
            remedy="check kafka.bootstrap, and that the broker runs",
        )

    def _note(self, error: KafkaError) -> None:
        self._trouble = error

    def _ours(self, error: KafkaError, where: str, right: str = "") -> BusError:
        kind = _OURS.get(error.code(), BusUnavailable if error.retriable() else BusError)
        if kind is BusUnavailable:
            trouble = self._trouble or error
            if self._refused:
                return NotAuthenticated(
                    f"the login was refused: {trouble.str()}",
                    where=self._kafka.bootstrap,
                    remedy="check kafka.username, kafka.password_file and kafka.sasl_mechanism",
                )
            return self._unavailable(trouble.str())
        if kind is NotAuthorised:
            return NotAuthorised.lacking(
                right, user=self._kafka.username, where=self._kafka.bootstrap
            )
        return kind(error.str(), where=where)


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


def _config(kafka: KafkaSettings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "security.protocol": kafka.security_protocol,
        "socket.timeout.ms": int(TIMEOUT * 1000),
        # What goes wrong is raised; its own log would go to standard error past ours.
        "log_level": 0,
    }
    for name, file in (
        ("ssl.ca.location", kafka.ca_file),
        ("ssl.certificate.location", kafka.certificate_file),
        # Python finds the key in the certificate's file, too, librdkafka only if it is told so.
        ("ssl.key.location", kafka.key_file or kafka.certificate_file),
    ):
        if file is not None:
            config[name] = str(file)
    if kafka.security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = kafka.sasl_mechanism
        config["sasl.username"], config["sasl.password"] = kafka.login()
    return config


def _listed_groups(client: Any) -> Any:
    """Ask for all groups; what only one of the brokers complains of counts like any error."""
    found = client.list_consumer_groups(request_timeout=TIMEOUT).result(TIMEOUT + 5)
    for error in found.errors:
        raise error if isinstance(error, KafkaException) else KafkaException(error)
    return found
