"""Tokens at a registry that asks who is there, on both engines."""

import json
import logging
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bus.errors import NotAuthorised
from bus.kafka import LogReader, Producer, Record
from bus.registry import Registry
from bus.settings import KafkaSettings
from bus.tokens import made
from bus.tokens.topic import TOPIC, all_tokens, keep, revoke
from tests.engine import Engine
from tests.trust.city import City
from tests.trust.test_rights_commands import Run, run
from tests.waiting import until

__all__ = ["run"]

pytestmark = pytest.mark.slow

HOUR = 3_600_000


def now() -> int:
    return int(time.time() * 1000)


@pytest.fixture
async def http(registry: Registry, ca: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the registry that has not logged in."""
    context = ssl.create_default_context(cafile=str(ca))
    async with httpx.AsyncClient(base_url=registry.url, verify=context, trust_env=False) as http:
        yield http


class Door:
    """What the registry answers to somebody with a token."""

    def __init__(self, http: httpx.AsyncClient, text: str) -> None:
        self._http, self._header = http, {"authorization": f"Bearer {text}"}

    async def answer(self, method: str = "GET", path: str = "/subjects") -> httpx.Response:
        return await self._http.request(method, path, headers=self._header)

    async def opens(self) -> bool:
        return (await self.answer()).status_code == 200

    async def is_shut(self) -> bool:
        return (await self.answer()).status_code in {401, 403, 429}


async def test_it_lets_its_system_in_until_it_is_revoked(
    run: Run, city: City, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    done = await run("token", "new", city.system, "-o", "json")
    assert done.exception is None, done.exception
    said = json.loads(done.stdout)
    text, name = said["token"], said["id"]
    door = Door(http, text)
    await until(door.opens, deadline=5)
    refused = await door.answer("PUT", "/config")
    assert (refused.status_code, refused.json()["error_code"]) == (403, 40301)
    listed = json.loads((await run("token", "ls", city.system, "-o", "json")).stdout)["tokens"]
    assert [(one["id"], one["state"]) for one in listed] == [(name, "counts")]
    assert (await run("token", "revoke", name)).exception is None
    await until(door.is_shut, deadline=5)
    assert text.rpartition("_")[2] not in caplog.text
    again = await run("token", "revoke", name)
    assert "there is no such token" in str(again.exception)


async def test_nobody_who_is_not_there_gets_one(run: Run, city: City) -> None:
    done = await run("token", "new", f"{city.member}.nothing")
    assert "neither such a user nor such a system" in str(done.exception)


async def test_it_does_not_count_while_its_system_is_locked_out(
    denying: Engine, city: City, http: httpx.AsyncClient
) -> None:
    token, text = made(city.system, now=now(), until=now() + HOUR)
    await keep(denying.settings, token)
    door = Door(http, text)
    await until(door.opens, deadline=5)
    await city.say("member-suspended", {"member": city.member}, city.root)
    assert (await door.answer()).json()["error_code"] == 40303

    async def locked() -> bool:
        return city.system in (await all_tokens(denying.settings)).locked

    await until(locked, deadline=5)  # for pages, which do not read the journal
    await city.say("member-resumed", {"member": city.member}, city.root)
    await until(door.opens, deadline=5)

    async def free() -> bool:
        return not await locked()

    await until(free, deadline=5)


async def test_who_sends_wrong_ones_again_and_again_is_not_looked_at(
    denying: Engine, city: City, http: httpx.AsyncClient
) -> None:
    token, text = made(city.system, now=now(), until=now() + HOUR)
    await keep(denying.settings, token)
    right, wrong = Door(http, text), Door(http, text[:-1] + ("0" if text[-1] != "0" else "1"))
    await until(right.opens, deadline=5)
    first, *others = [await wrong.answer() for _ in range(6)]
    assert (first.status_code, first.json()["error_code"]) == (401, 40102)
    assert "there is no such token here, or it was revoked" in first.json()["message"]
    assert first.headers["www-authenticate"].startswith("Bearer ")
    assert others[-1].status_code == 429
    assert await right.opens()


async def test_one_that_has_ended_says_since_when(
    denying: Engine, city: City, http: httpx.AsyncClient
) -> None:
    token, text = made(city.system, now=now() - 2 * HOUR, until=now() - HOUR)
    await keep(denying.settings, token)
    door = Door(http, text)

    async def ended() -> bool:
        return " ended on " in (await door.answer()).json()["message"]

    await until(ended, deadline=5)


async def test_a_user_that_is_removed_has_none(
    denying: Engine, run: Run, city: City, http: httpx.AsyncClient
) -> None:
    token, text = made(city.system, now=now(), until=now() + HOUR)
    await keep(denying.settings, token)
    door = Door(http, text)
    await until(door.opens, deadline=5)
    assert (await run("user", "remove", city.system)).exception is None
    await until(door.is_shut, deadline=5)


async def test_nobody_but_administrators_reads_or_writes_them(
    denying: Engine, city: City, system: KafkaSettings
) -> None:
    token, text = made(city.system, now=now(), until=now() + HOUR)
    await keep(denying.settings, token)
    async with LogReader(denying.settings) as reader:
        first, end = (await reader.bounds(TOPIC))[0]
        kept = [r.value for r in await reader.read(TOPIC, 0, first)] if end > first else []
    assert kept
    assert not any(text.rpartition("_")[2].encode() in (value or b"") for value in kept)
    with pytest.raises(NotAuthorised):
        await all_tokens(system)
    forged = replace(token, role="administrator")
    with pytest.raises(NotAuthorised):
        async with Producer(system) as producer:
            await producer.append(TOPIC, 0, [Record(forged.id.encode(), forged.record())])
    await revoke(denying.settings, [token.id])
