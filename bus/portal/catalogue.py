"""The contracts in force, for pages: from the registry of this process, or from one elsewhere."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bus.errors import BusError, NotFound
from bus.registry.state import State
from bus.schemas import SchemaClient

log = logging.getLogger(__name__)

TURN = 60.0
"""Seconds between two looks at a registry elsewhere, which is asked for each contract."""

AGAIN = 5.0
"""Seconds until one that cannot be reached is asked again."""

Contracts = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of contracts.

    Args:
        contracts: as JSON values, by topic; None: nothing is known, as the registry is away.
        trouble: why the registry cannot be asked; None if it can.
    """

    contracts: Contracts | None = None
    trouble: BusError | None = None


class Catalogue:
    """The contracts as they are now, or as they were last read.

    Args:
        state: what the registry of this process knows; None: it is elsewhere.
        registry: asks the one that is elsewhere; None: it is in this process.
    """

    def __init__(self, state: State | None, registry: SchemaClient | None) -> None:
        self._state, self._registry = state, registry
        self._read = Known()

    def known(self) -> Known:
        """Return what is known now."""
        if self._state is None:
            return self._read
        found = {topic: self._state.contract(topic) or {} for topic in self._state.topics}
        return Known(contracts=found)

    async def run(self) -> None:
        """Read a registry elsewhere again and again, until cancelled."""
        while self._registry is not None:
            try:
                self._read = Known(contracts=await _read(self._registry))
                await asyncio.sleep(TURN)
            except BusError as error:
                log.info("contracts cannot be read: %s", error)
                self._read = Known(contracts=self._read.contracts, trouble=error)
                await asyncio.sleep(AGAIN)


async def _read(registry: SchemaClient) -> Contracts:
    found = {}
    for topic in await registry.contracts():
        try:
            found[topic] = (await registry.contract(topic)).to_json()
        except NotFound:
            continue  # it went while others were read
    return found
