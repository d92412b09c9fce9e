"""The newest events of contracts, read where pages need examples of what would flow."""

import asyncio
import time
from collections.abc import Sequence

from bus.contracts import Contract
from bus.errors import BusUnavailable
from bus.kafka import LogReader
from bus.portal.tailing.decoding import Registry
from bus.settings import KafkaSettings
from bus.trust.grants.samples import Happened, Sample, samples
from bus.trust.grants.terms import Terms
from bus.trust.standing import Standing
from bus.views.grants.newest import newest

KEPT = 10.0
"""Seconds for which a contract's newest events are not read again."""

PATIENCE = 3.0
"""Seconds that somebody waits for them at the most."""

MOST_KEPT = 8


class Examples:
    """Reads them; to be called aside.

    Args:
        kafka: how to reach the engine.
        registry: where contracts come from.
    """

    def __init__(self, kafka: KafkaSettings, registry: Registry) -> None:
        self._kafka, self._registry = kafka, registry
        self._reader: LogReader | None = None
        self._turn = asyncio.Lock()
        self._kept: dict[str, tuple[float, Contract, Sequence[Happened]]] = {}

    async def of(self, terms: Terms, standing: Standing) -> tuple[Contract, list[Sample]]:
        """Return the contract, and what would flow of its newest events under a grant.

        Raises:
            NotFound: there is no such contract, or its topic does not exist.
            NotAuthorised: the node may not read it.
            BusUnavailable: engine or registry cannot be reached, or are slow.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(PATIENCE):
                    contract, events = await self._newest(terms.topic)
            except TimeoutError as error:
                raise BusUnavailable("no answer came in time", where=terms.topic) from error
        return contract, samples(terms, contract, standing, events)

    async def close(self) -> None:
        """Leave the engine; called aside."""
        async with self._turn:
            if self._reader is not None:
                await self._reader.stop()
                self._reader = None

    async def _newest(self, topic: str) -> tuple[Contract, Sequence[Happened]]:
        now = time.monotonic()
        self._kept = {name: one for name, one in self._kept.items() if now - one[0] < KEPT}
        if topic not in self._kept:
            contract = await self._registry.contract(topic)
            found = await newest(await self._open(), contract, self._registry)
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[topic] = now, contract, found
        _, contract, events = self._kept[topic]
        return contract, events

    async def _open(self) -> LogReader:
        if self._reader is None:
            reader = LogReader(self._kafka, client_id="stadtbus-portal")
            await reader.start()
            self._reader = reader
        return self._reader
