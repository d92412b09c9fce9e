"""Registries on a real broker, on free ports."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from bus.registry import Registry
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry

Start = Callable[[], Awaitable[Registry]]


@pytest.fixture
async def start(bare: KafkaSettings, telemetry: Telemetry) -> AsyncIterator[Start]:
    """Start another registry on the bus."""
    listen = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    async with AsyncExitStack() as running:

        async def another() -> Registry:
            registry = Registry(Settings(kafka=bare, registry=listen), telemetry)
            return await running.enter_async_context(registry)

        yield another


@pytest.fixture
async def registry(start: Start) -> Registry:
    """A registry with the shipped contracts in force."""
    return await start()


@pytest.fixture
async def http(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the registry."""
    url = f"http://{registry.address}"
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        yield client
