"""Bearer tokens at the page: for programs that read it, and for reading alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from bus.portal import Portal
from bus.settings import Settings
from bus.telemetry import Telemetry
from bus.tokens import Token, made
from bus.tokens.topic import keep, lock, revoke
from tests.portal.city import town
from tests.secured import SecuredBroker
from tests.waiting import until

SYSTEM = "de.mun.092720140140.meldewesen"
HOUR = 3_600_000


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[SecuredBroker]:
    folder = tmp_path / "secured"
    folder.mkdir()
    with SecuredBroker(folder) as broker:
        yield broker


@pytest.fixture
async def portal(
    secured: SecuredBroker, settings: Settings, people: None, telemetry: Telemetry
) -> AsyncIterator[Portal]:
    """The role, on an engine that asks who is there."""
    given = settings.model_copy(update={"kafka": secured.settings})
    role = Portal(given, telemetry, town(), None)
    await role.start()
    yield role
    await role.stop()


@pytest.fixture
async def http(portal: Portal) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=portal.url, trust_env=False) as http:
        yield http


def token(role: str = "viewer", *, hours: int = 1) -> tuple[Token, str]:
    now = int(time.time() * 1000)
    return made(SYSTEM, now=now, until=now + hours * HOUR, role=role)


class Program:
    """Somebody's program, which has a token."""

    def __init__(self, http: httpx.AsyncClient, text: str) -> None:
        self.http, self.header = http, {"authorization": f"Bearer {text}"}

    async def status(self, path: str = "/") -> int:
        return (await self.http.get(path, headers=self.header)).status_code

    async def reads(self) -> bool:
        return await self.status() == 200

    async def reads_no_more(self) -> bool:
        return await self.status() in {401, 403, 429}


async def test_it_reads_pages_as_its_role_says_until_it_is_revoked(
    http: httpx.AsyncClient, secured: SecuredBroker
) -> None:
    viewers, text = token()
    await keep(secured.settings, viewers)
    program = Program(http, text)
    await until(program.reads, deadline=5)
    page = await http.get("/", headers=program.header)
    assert SYSTEM in page.text
    assert "set-cookie" not in page.headers or "session" not in page.headers["set-cookie"]
    assert await program.status("/tail") == 403  # for operators
    await revoke(secured.settings, [viewers.id])
    await until(program.reads_no_more, deadline=5)


async def test_while_its_system_is_locked_out_it_reads_nothing(
    http: httpx.AsyncClient, secured: SecuredBroker
) -> None:
    mine, text = token()
    await keep(secured.settings, mine)
    program = Program(http, text)
    await until(program.reads, deadline=5)
    await lock(secured.settings, [SYSTEM])
    await until(program.reads_no_more, deadline=5)
    answer = await http.get("/", headers=program.header)
    assert (answer.status_code, "locked out" in answer.text) == (403, True)
    await lock(secured.settings, [], [SYSTEM])
    await until(program.reads, deadline=5)


async def test_a_stream_ends_with_its_token(
    http: httpx.AsyncClient, secured: SecuredBroker
) -> None:
    mine, text = token()
    await keep(secured.settings, mine)
    program = Program(http, text)
    await until(program.reads, deadline=5)
    stream = http.stream("GET", "/live/overview", headers=program.header, timeout=20)
    async with asyncio.timeout(20), stream as answer:
        assert answer.status_code == 200
        await revoke(secured.settings, [mine.id])
        async for _ in answer.aiter_bytes():
            pass  # until it ends, or the time is over


@pytest.mark.parametrize(
    ("role", "hours", "status", "words"),
    [
        pytest.param("", 1, 403, "for the registry alone", id="without a role"),
        pytest.param("viewer", -1, 401, " ended on ", id="ended"),
    ],
)
async def test_one_that_is_not_for_this_is_told_why(
    http: httpx.AsyncClient,
    secured: SecuredBroker,
    role: str,
    hours: int,
    status: int,
    words: str,
) -> None:
    mine, text = token(role, hours=hours)
    await keep(secured.settings, mine)
    program = Program(http, text)

    async def is_told() -> bool:
        answer = await http.get("/", headers=program.header)
        return answer.status_code == status and words in answer.text

    await until(is_told, deadline=5)


async def test_a_wrong_one_is_no_way_in_and_soon_not_looked_at(http: httpx.AsyncClient) -> None:
    program = Program(http, token()[1])

    async def is_known_to_be_none() -> bool:  # not before all tokens are read
        return await program.status() != 503

    await until(is_known_to_be_none, deadline=5)
    codes = [await program.status() for _ in range(4)]
    assert set(codes) <= {401, 429}
    assert codes[-1] == 429
    answer = await http.get("/", headers=program.header)
    assert int(answer.headers["retry-after"]) >= 1


async def test_it_changes_nothing(http: httpx.AsyncClient, secured: SecuredBroker) -> None:
    """Forms are sent by our own pages alone."""
    mine, text = token("administrator")
    await keep(secured.settings, mine)
    program = Program(http, text)
    await until(program.reads, deadline=5)
    answer = await http.post("/logout", headers=program.header, data={"everywhere": "yes"})
    assert answer.status_code == 400


async def test_where_the_engine_asks_nobody_there_are_none(
    settings: Settings, people: None, telemetry: Telemetry
) -> None:
    """Anybody could write one there."""
    role = Portal(settings, telemetry, town(), None)
    await role.start()
    try:
        async with httpx.AsyncClient(base_url=role.url, trust_env=False) as http:
            answer = await http.get("/", headers={"authorization": f"Bearer {token()[1]}"})
            assert (answer.status_code, "there are no tokens here" in answer.text) == (401, True)
    finally:
        await role.stop()
