"""Asking brokers about much at once, each by its number."""

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from aiokafka import errors as foreign

from bus.errors import BusUnavailable
from bus.kafka.client import Client
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

NEVER = 2_000_000.0
"""Seconds after which aiokafka asks for all topics by itself, which takes long for many."""

T = TypeVar("T")


class Unknown(Exception):
    """A broker does not know this request in a version that we do."""


class Inquiry(Client):
    """Sends requests to brokers by their number, and bears with some that do not answer.

    What a broker that is away would have told is missing from what is found out; it is asked
    nothing more until the next `begin`.

    Args:
        kafka: how to reach the engine.
        client_id: what the engine calls this client in its logs.
    """

    def __init__(self, kafka: KafkaSettings, *, client_id: str) -> None:
        super().__init__(kafka, client_id=client_id, metadata_age=NEVER)
        self._brokers: frozenset[int] = frozenset()
        self._silent: set[int] = set()

    def begin(self, brokers: Collection[int]) -> None:
        """Begin to find out about something.

        Args:
            brokers: the numbers of all brokers that there are.

        Raises:
            BusUnavailable: one of them is new; start again to know its address.
        """
        known = {one.nodeId for one in self._use().cluster.brokers()}
        if new := set(brokers) - known:
            raise self._unavailable(f"the cluster has a new broker: {min(new)}")
        self._brokers, self._silent = frozenset(brokers), set()

    @property
    def brokers(self) -> list[int]:
        """The brokers that have not failed to answer."""
        return sorted(self._brokers - self._silent)

    @property
    def complete(self) -> bool:
        """Whether every broker has answered what it was asked."""
        return not self._silent

    async def ask_any(self, request: Any) -> Any:
        """Return the answer of whichever broker has one first; with this, all begins.

        Raises:
            Unknown: a broker does not know this request in our version.
            BusUnavailable: no broker answers.
        """
        self.begin([one.nodeId for one in self._use().cluster.brokers()])
        for broker in self.brokers:
            answer = await self.ask(broker, request)
            if answer is not None:
                return answer
        raise self._unavailable("none is known")

    async def ask(self, broker: int, request: Any) -> Any:
        """Return a broker's answer; None if it does not answer.

        Raises:
            Unknown: it does not know this request in our version.
            BusUnavailable: no broker answers any more.
        """
        if broker not in self._brokers or broker in self._silent:
            return None
        try:
            return await self._use().send(broker, request)
        except (NotImplementedError, foreign.IncompatibleBrokerVersion) as error:
            raise Unknown(str(error)) from error
        except (foreign.KafkaError, OSError, TimeoutError) as error:
            log.info("broker %d has no answer: %r", broker, error)
            self._silent.add(broker)
            if not self.brokers:
                raise self._unavailable(str(error) or type(error).__name__) from error
            return None

    def _unavailable(self, reason: str) -> BusUnavailable:
        return BusUnavailable(
            f"no broker answers: {reason}",
            where=self._kafka.bootstrap,
            remedy="check that the brokers run",
        )


def parts(items: Collection[T], size: int) -> Iterator[Sequence[T]]:
    """Yield items in parts of a size: what one answer holds keeps all others waiting."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


async def breathe() -> None:
    """Let others have their turn between two answers that were taken apart."""
    await asyncio.sleep(0)
