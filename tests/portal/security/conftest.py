"""A portal that asks who is there, and a reader's browser."""

import re
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from argon2 import Parameters
from argon2.low_level import Type

from bus.audit import Notes
from bus.portal import Portal
from bus.portal.security.access import Access
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.settings import Settings, load
from bus.telemetry import Telemetry
from tests.portal.city import town

QUICK = Parameters(
    type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=64, parallelism=1
)
"""Of Argon2id, for tests that log in often."""

PASSWORD = "correct horse battery"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Passwords:
    """What hashes passwords, in the portal too, where a failure is answered at once."""
    passwords = Passwords(QUICK)
    asking = Access.__init__

    def hashing(self: Access, settings: Settings, notes: Notes, telemetry: Telemetry) -> None:
        asking(self, settings, notes, telemetry, lambda: passwords)

    monkeypatch.setattr(Access, "__init__", hashing)
    monkeypatch.setattr("bus.portal.security.access.FAILED_SECONDS", 0.0)
    return passwords


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A portal on a free port that asks everybody."""
    flags = {"data": tmp_path, "portal.listen": "127.0.0.1:0", "portal.login": "always"}
    return load(flags, environ={}, directory=tmp_path)


@pytest.fixture
def people(settings: Settings, quick: Passwords) -> None:
    """A user of each role, with the same password."""
    with closing(Database(settings.data)) as database:
        for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR):
            Users(database).add(User(role.name.lower(), role, quick.hash(PASSWORD)))


@pytest.fixture
async def portal(settings: Settings, people: None, telemetry: Telemetry) -> AsyncIterator[Portal]:
    """The role, started."""
    role = Portal(settings, telemetry, town(), None)
    await role.start()
    yield role
    await role.stop()


@dataclass(slots=True)
class Reader:
    """Somebody's browser, as far as it matters here."""

    http: httpx.AsyncClient

    async def form(self, path: str = "/login") -> str:
        """Open a page; return the token of its forms."""
        page = await self.http.get(path)
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
        assert found, page.text
        return found[1]

    async def log_in(self, name: str, password: str = PASSWORD, then: str = "/") -> httpx.Response:
        """Send the form of the login's page."""
        form = {"csrf": await self.form(), "name": name, "password": password, "then": then}
        return await self.http.post("/login", data=form)

    async def log_out(self) -> httpx.Response:
        """Press the button."""
        return await self.http.post("/logout", data={"csrf": await self.form("/")})


@pytest.fixture
async def reader(portal: Portal) -> AsyncIterator[Reader]:
    """Somebody who reads English."""
    async with httpx.AsyncClient(
        base_url=portal.url, headers={"accept-language": "en"}, timeout=30
    ) as http:
        yield Reader(http)
