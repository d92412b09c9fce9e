"""A portal that listens, on a bus that a test makes up."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from bus.portal import Portal
from bus.settings import Settings, load
from bus.telemetry import Telemetry
from tests.portal.browsing import chromium
from tests.portal.city import Watch, town


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for tests that share an event loop with all others of their module."""
    async with chromium() as found:
        yield found


@pytest.fixture
async def own_browser() -> AsyncIterator[Browser]:
    """A browser for one test."""
    async with chromium() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A portal on a free port, with its data in a folder of its own."""
    flags = {"data": tmp_path, "portal.listen": "127.0.0.1:0"}
    return load(flags, environ={}, directory=tmp_path)


@pytest.fixture
def watch() -> Watch:
    """What is seen of the bus: a small town."""
    return town()


@pytest.fixture
async def portal(settings: Settings, telemetry: Telemetry, watch: Watch) -> AsyncIterator[Portal]:
    """The role, started."""
    role = Portal(settings, telemetry, watch, None, roles=("broker", "portal"))
    await role.start()
    yield role
    await role.stop()


@pytest.fixture
async def client(portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    """A reader who reads English."""
    headers = {"accept-language": "en"}
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=30) as reader:
        yield reader
