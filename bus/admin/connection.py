"""The connection of an administrator.

Its calls answer with futures of other threads; here they are awaited, and its errors become ours.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

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

_OURS: dict[int, type[BusError]] = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: NotFound,
    KafkaError._UNKNOWN_TOPIC: NotFound,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError._UNKNOWN_PARTITION: NotFound,  # noqa: SLF001  # librdkafka's own codes are public in spite of it
    KafkaError.GROUP_ID_NOT_FOUND: NotFound,
    KafkaError.TOPIC_ALREADY_EXISTS: Conflict,
    KafkaError.NON_EMPTY_GROUP: Conflict,
    KafkaError.UNKNOWN_MEMBER_ID: Conflict,  # to who commits for a group that has members
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


class Connection:
    """Asks an engine as an administrator, from when something is asked first.

    Args:
        kafka: how to reach it.
    """

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
