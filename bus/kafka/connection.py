"""Reaching the engine: security, time limits, and errors that become ours."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka import errors as foreign
from aiokafka.protocol.metadata import MetadataRequest

from bus.errors import (
    BusError,
    BusUnavailable,
    Conflict,
    EventTooLarge,
    NotAuthenticated,
    NotAuthorised,
    NotFound,
    PositionLost,
    StorageFull,
)
from bus.kafka.records import Place
from bus.probe import probe, tls
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

CLOSING = 5.0
"""Seconds that closing waits for batches in flight; aiokafka alone would wait for ever."""

REACH = 10.0
"""Seconds in which a client has found a broker that serves it, beside those that one may hang."""


APPEARS = 1.0
"""Seconds in which every broker of a cluster has heard of a topic that was made a moment ago."""


def reach(kafka: KafkaSettings) -> float:
    """Return the seconds that a client tries: one broker that hangs is no reason to give up."""
    return REACH + kafka.answer_seconds


_OURS: dict[type[BaseException], type[BusError]] = {
    foreign.SaslAuthenticationFailed: NotAuthenticated,
    foreign.AuthenticationFailedError: NotAuthenticated,
    foreign.AuthenticationMethodNotSupported: NotAuthenticated,
    foreign.UnsupportedSaslMechanismError: NotAuthenticated,
    foreign.IllegalSaslStateError: NotAuthenticated,
    foreign.TopicAuthorizationFailedError: NotAuthorised,
    foreign.GroupAuthorizationFailedError: NotAuthorised,
    foreign.ClusterAuthorizationFailedError: NotAuthorised,
    foreign.TransactionalIdAuthorizationFailed: NotAuthorised,
    foreign.UnknownTopicOrPartitionError: NotFound,
    foreign.InvalidTopicError: NotFound,
    foreign.MessageSizeTooLargeError: EventTooLarge,
    foreign.RecordListTooLargeError: EventTooLarge,
    foreign.KafkaStorageError: StorageFull,
    foreign.OffsetOutOfRangeError: PositionLost,
    foreign.CommitFailedError: Conflict,
    foreign.IllegalStateError: Conflict,
    # The broker no longer knows this producer's numbering; a new producer starts afresh.
    foreign.OutOfOrderSequenceNumber: BusUnavailable,
    foreign.UnknownProducerId: BusUnavailable,
    foreign.InvalidProducerEpoch: BusUnavailable,
    foreign.InvalidProducerIdMapping: BusUnavailable,
    foreign.ProducerFenced: BusUnavailable,
    foreign.ProducerClosed: BusUnavailable,
    foreign.KafkaTimeoutError: BusUnavailable,
    foreign.KafkaUnavailableError: BusUnavailable,
}


# What aiokafka only logs is heard below and said in our errors; nobody else has to read it.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


def ours(error: BaseException, where: str, kafka: KafkaSettings, right: str) -> BusError:
    """Return our error for one of aiokafka's.

    Args:
        error: what aiokafka raised.
        where: what was asked for: a topic, a partition, a group, or the engine itself.
        kafka: how the engine was reached.
        right: what a user needs for it, such as ``Read on the topic x``.
    """
    fallback = BusUnavailable if getattr(error, "retriable", False) else BusError
    if isinstance(error, OSError | TimeoutError):
        fallback = BusUnavailable
    kind = _OURS.get(type(error), fallback)
    if kind is NotAuthorised:
        if isinstance(error, foreign.ClusterAuthorizationFailedError):
            # What a numbered producer asks for before it writes its first record.
            right = "Write on any topic"
        return NotAuthorised.lacking(right, user=kafka.username, where=kafka.bootstrap)
    remedy = "see which brokers run; the same may succeed later" if kind is BusUnavailable else ""
    return kind(sentence(error), where=where, remedy=remedy)


def sentence(error: BaseException) -> str:
    """Return what the engine answered, in one line."""
    if isinstance(error, foreign.CommitFailedError):
        # aiokafka's own words are about a setting of the Java client.
        return "the group has given the partitions to other members meanwhile"
    name = type(error).__name__
    described = getattr(error, "description", "") or ", ".join(str(a) for a in error.args)
    described = " ".join(described.split())
    return f"the engine answered {name}" + (f" ({described})" if described else "")


_listening: ContextVar["Causes | None"] = ContextVar("stadtbus_kafka_causes", default=None)


class Causes(logging.Handler):
    """What aiokafka only logs: why it could not connect, and why it sends a batch again.

    Tasks inherit the context they are started in, so each client hears only what its own tasks
    have to say.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last: BaseException | None = None
        self.by_place: dict[Place, BaseException] = {}

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Hear all tasks that are started inside this block."""
        token = _listening.set(self)
        try:
            yield self
        finally:
            _listening.reset(token)

    def attach(self) -> None:
        """Begin to listen to aiokafka's log."""
        logging.getLogger("aiokafka").addHandler(self)

    def detach(self) -> None:
        """Stop listening."""
        logging.getLogger("aiokafka").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the errors that a line of the log carries."""
        if _listening.get() is not self or not isinstance(record.args, tuple):
            return
        place: Place | None = None
        for arg in record.args:
            if isinstance(arg, TopicPartition):
                place = (arg.topic, arg.partition)
            error = arg() if isinstance(arg, type) and issubclass(arg, BaseException) else arg
            if isinstance(error, BaseException):
                self.last = error
                if place is not None:
                    self.by_place[place] = error


def security(kafka: KafkaSettings) -> dict[str, Any]:
    """Return aiokafka's arguments for reaching the engine.

    Raises:
        InvalidSettings: a file cannot be read, or a login has no user or password.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap,
        "security_protocol": kafka.security_protocol,
        # A broker that hangs keeps its connections: only the want of an answer tells.
        "request_timeout_ms": int(kafka.answer_seconds * 1000),
    }
    if kafka.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = tls(kafka)
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"], arguments["sasl_plain_password"] = kafka.login()
    return arguments


def unreachable(kafka: KafkaSettings, cause: BaseException | None) -> BusError:
    """Return the error for a bootstrap that failed, with the cause that aiokafka only logs."""
    if cause is not None and _OURS.get(type(cause)) is NotAuthenticated:
        return NotAuthenticated(
            f"the login was refused: {sentence(cause)}",
            where=kafka.bootstrap,
            remedy="check kafka.username, kafka.password_file and kafka.sasl_mechanism",
        )
    return BusUnavailable(
        f"no broker answers: {cause}" if cause and str(cause) else "no broker answers",
        where=kafka.bootstrap,
        remedy="check kafka.bootstrap, and that the broker runs",
    )


async def started(
    start: Callable[[], Awaitable[None]],
    kafka: KafkaSettings,
    causes: Causes | None = None,
    *,
    right: str = "Describe on the cluster",
) -> None:
    """Run a client's start and turn its failure into ours.

    Args:
        start: connects; what it starts in the background is listened to as long as it runs.
        kafka: how to reach the engine.
        causes: listens already and goes on listening; for the time of the start alone if None.
        right: what the start asks for.

    Raises:
        BusUnavailable, InvalidSettings, NotAuthenticated: why the engine cannot be reached.
        NotAuthorised: the user may not do what the start asks for.
    """
    await probe(kafka)
    listener = causes or Causes()
    if causes is None:
        listener.attach()
    try:
        with listener.listening():
            async with asyncio.timeout(reach(kafka)):
                await start()
    except (foreign.KafkaError, OSError, TimeoutError) as error:
        if _OURS.get(type(error)) in (NotAuthorised, NotFound):
            raise ours(error, kafka.bootstrap, kafka, right) from error
        raise unreachable(kafka, listener.last) from error
    finally:
        if causes is None:
            listener.detach()


def look(future: "asyncio.Future[Any]") -> None:
    """Look at a future's error, so that one nobody waits for any more is not reported as unseen."""
    if not future.cancelled():
        future.exception()


class Topics:
    """What readers and producers share: metadata from any broker, bounded in time."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._counts: dict[str, int] = {}

    async def exists(self, client: Any, topic: str) -> bool:
        """Whether a topic is there, or hidden, as the first broker says that answers."""
        if topic in self._counts:
            return True
        error, _ = await self._asked(client, topic)
        return error is not foreign.UnknownTopicOrPartitionError

    async def count(self, client: Any, topic: str) -> int:
        """Return a topic's partitions, without ever making the topic by asking for it.

        It is asked for by its name: an answer about thousands of topics takes long to be read, and
        of a topic that a user may not see only who asks by its name is told.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + APPEARS
        while topic not in self._counts:
            error, partitions = await self._asked(client, topic)
            if error is foreign.TopicAuthorizationFailedError:
                raise _hidden(self._kafka, topic)
            if error is foreign.NoError and partitions:
                self._counts[topic] = partitions
            elif clock() > deadline:
                raise NotFound(
                    "the topic does not exist",
                    where=topic,
                    remedy="topics come from contracts: see `stadtbus topic ls`",
                )
            else:
                await asyncio.sleep(APPEARS / 10)
        return self._counts[topic]

    async def _asked(self, client: Any, topic: str) -> tuple[type[foreign.KafkaError], int]:
        """Return what is wrong with a topic, and its partitions, as the first broker tells it."""
        request = MetadataRequest([topic], allow_auto_topic_creation=False)
        brokers = [one.nodeId for one in client.cluster.brokers()]
        random.shuffle(brokers)
        trouble: BaseException | None = None
        try:
            async with asyncio.timeout(reach(self._kafka)):
                for broker in brokers:
                    try:
                        answer = await client.send(broker, request)
                    except (foreign.KafkaError, OSError) as error:
                        log.debug("broker %s does not say of %s: %r", broker, topic, error)
                        trouble = error
                        continue
                    code, _, _, partitions = answer.topics[0]
                    return foreign.for_code(code), len(partitions)
        except TimeoutError as error:
            trouble = error
        raise unreachable(self._kafka, trouble) from trouble


def _hidden(kafka: KafkaSettings, topic: str) -> NotAuthorised:
    return NotAuthorised.lacking(
        f"Describe on the topic {topic}", user=kafka.username, where=kafka.bootstrap
    )
