"""Logging in with a password, over HTTP: who gets in, where to, for how long."""

import asyncio
import logging
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest
from argon2 import PasswordHasher

from bus.errors import InvalidSettings
from bus.portal import Portal
from bus.portal.security.access import HASHING_AT_ONCE, HASHING_WAITS
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.sessions import Person, Sessions
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.security import LOGINS
from bus.settings import Settings
from bus.telemetry import Telemetry
from tests.portal.city import town
from tests.portal.security.conftest import PASSWORD, Reader
from tests.waiting import until


async def test_a_stranger_is_led_to_the_login_and_from_there_to_the_page(reader: Reader) -> None:
    asked = await reader.http.get("/topics?find=sensor")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?then=%2Ftopics%3Ffind%3Dsensor"
    let_in = await reader.log_in("viewer", then="/topics?find=sensor")
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/topics?find=sensor")
    page = await reader.http.get("/topics?find=sensor")
    assert page.status_code == 200
    assert "viewer" in page.text


@pytest.mark.parametrize("path", ["/live/overview", "/live/node"])
async def test_a_stranger_s_stream_is_refused(reader: Reader, path: str) -> None:
    assert (await reader.http.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("name", "status"), [("viewer", 403), ("operator", 403), ("administrator", 200)]
)
async def test_each_may_what_the_role_says(reader: Reader, name: str, status: int) -> None:
    await reader.log_in(name)
    assert (await reader.http.get("/topics")).status_code == 200
    node = await reader.http.get("/node")
    assert node.status_code == status
    assert ('href="/node"' in (await reader.http.get("/")).text) == (status == 200)


@pytest.mark.parametrize(
    ("language", "says"),
    [("en", "Name or password is wrong."), ("de", "Name oder Kennwort ist falsch.")],
)
async def test_nobody_learns_who_there_is(reader: Reader, language: str, says: str) -> None:
    reader.http.headers["accept-language"] = language
    wrong = await reader.log_in("viewer", "another password")
    stranger = await reader.log_in("stranger", "another password")
    assert (wrong.status_code, stranger.status_code) == (401, 401)
    assert says in wrong.text
    pages = [
        answer.text.replace(name, "NAME")
        for answer, name in ((wrong, "viewer"), (stranger, "stranger"))
    ]
    assert pages[0] == pages[1]


async def test_the_cookie_is_no_script_s_and_changes_at_login(reader: Reader) -> None:
    reader.http.cookies.set("stadtbus", "chosen-by-somebody-else")
    answer = await reader.log_in("viewer")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "chosen-by-somebody-else" not in cookie
    first = answer.cookies["stadtbus"]
    assert len(first) == 43  # 256 bits
    reader.http.cookies.clear()
    reader.http.cookies.set("stadtbus", first)
    again = await reader.http.post(
        "/login",
        data={"csrf": await reader.form("/"), "name": "operator", "password": PASSWORD},
    )
    assert again.cookies["stadtbus"] != first
    old = {"cookie": f"stadtbus={first}"}
    async with httpx.AsyncClient(base_url=reader.http.base_url) as other:
        assert (await other.get("/topics", headers=old)).status_code == 303


async def test_a_session_after_logout_is_none_in_any_browser(
    reader: Reader, portal: Portal
) -> None:
    await reader.log_in("viewer")
    kept = reader.http.cookies["stadtbus"]
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as http:
        other = Reader(http)
        await other.log_in("viewer")
        assert (await http.get("/topics")).status_code == 200
        out = await reader.log_out()
        assert (out.status_code, out.headers["location"]) == (303, "/login")
        assert "stadtbus" not in reader.http.cookies
        assert (await http.get("/topics")).status_code == 303
    again = await reader.http.get("/topics", headers={"cookie": f"stadtbus={kept}"})
    assert again.status_code == 303


@pytest.mark.slow
async def test_a_stream_ends_soon_after_its_session(reader: Reader, portal: Portal) -> None:
    await reader.log_in("viewer")
    token = await reader.form("/")
    async with reader.http.stream("GET", "/live/topics") as stream:
        parts = stream.aiter_bytes()
        assert b"retry" in await anext(parts)
        assert (await reader.http.post("/logout", data={"csrf": token})).status_code == 303
        async with asyncio.timeout(30):
            async for _ in parts:
                continue
    await until(lambda: len(portal._streams) == 0)


async def test_the_database_tells_nobody_s_secrets(reader: Reader, settings: Settings) -> None:
    await reader.log_in("viewer")
    kept = reader.http.cookies["stadtbus"].encode()
    for file in settings.data.glob(f"{LOGINS}*"):
        assert file.stat().st_mode & 0o077 == 0
        stored = file.read_bytes()
        assert kept not in stored
        assert PASSWORD.encode() not in stored


async def test_a_user_who_is_removed_or_changed_is_out_at_once(
    reader: Reader, settings: Settings, quick: Passwords
) -> None:
    with closing(Database(settings.data)) as database:
        users = Users(database)
        await reader.log_in("viewer")
        assert (await reader.http.get("/topics")).status_code == 200
        users.set_role("viewer", Role.OPERATOR)
        assert (await reader.http.get("/topics")).status_code == 303
        await reader.log_in("viewer")
        users.set_hash("viewer", quick.hash("some other password"))
        assert (await reader.http.get("/topics")).status_code == 303
        await reader.log_in("viewer", "some other password")
        assert (await reader.http.get("/topics")).status_code == 200
        users.remove("viewer")
        assert (await reader.http.get("/topics")).status_code == 303


async def test_who_came_by_another_provider_is_a_stranger(
    reader: Reader, settings: Settings
) -> None:
    """As when the settings name a provider no more."""
    person = {"subject": "anna", "name": "anna", "role": Role.ADMINISTRATOR}
    with closing(Database(settings.data)) as database:
        sessions = Sessions(database, idle=600.0, longest=600.0)
        for issuer in ("https://gone.example", ""):  # nor a local user whom there is not
            begun = sessions.begin(Person(issuer=issuer, **person), time.time())  # type: ignore[arg-type]
            cookie = {"cookie": f"stadtbus={begun}"}
            assert (await reader.http.get("/topics", headers=cookie)).status_code == 303


async def test_logging_in_makes_an_old_hash_anew(
    reader: Reader, settings: Settings, quick: Passwords
) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=32, parallelism=1).hash(PASSWORD)
    with closing(Database(settings.data)) as database:
        users = Users(database)
        users.add(User("earlier", Role.VIEWER, old))
        assert (await reader.log_in("earlier")).status_code == 303
        found = users.find("earlier")
        assert found is not None
        assert found.hash != old
        assert quick.matches(PASSWORD, found.hash)
        assert not quick.outdated(found.hash)
    assert (await reader.http.get("/topics")).status_code == 200


async def test_who_fails_often_has_to_wait_and_right_passwords_wait_too(reader: Reader) -> None:
    for _ in range(3):
        assert (await reader.log_in("viewer", "wrong wrong wrong")).status_code == 401
    throttled = await reader.log_in("viewer")
    assert throttled.status_code == 429
    assert int(throttled.headers["retry-after"]) >= 1
    assert "Too many attempts" in throttled.text
    assert (await reader.log_in("operator")).status_code == 303


@dataclass(slots=True)
class Hashing:
    """Passwords that are hashed until a test says that it is enough."""

    enough: asyncio.Event
    begun: int = 0
    now: int = 0
    most: int = 0


@pytest.fixture
async def hashing(quick: Passwords, monkeypatch: pytest.MonkeyPatch) -> Hashing:
    """What is hashed in the portal, for as long as a test wants."""
    found, loop, right = Hashing(asyncio.Event()), asyncio.get_running_loop(), quick.matches

    def slowly(password: str, hashed: str) -> bool:
        found.begun += 1
        found.now += 1
        found.most = max(found.most, found.now)
        asyncio.run_coroutine_threadsafe(found.enough.wait(), loop).result()
        found.now -= 1
        return right(password, hashed)

    monkeypatch.setattr(quick, "matches", slowly)
    return found


async def test_a_flood_of_logins_takes_no_more_than_its_share(
    reader: Reader, settings: Settings, quick: Passwords, hashing: Hashing
) -> None:
    """As many hash at a time as may, as many wait as may, the others are sent away at once."""
    names = [f"user{number}" for number in range(40)]
    with closing(Database(settings.data)) as database:
        for name in names:
            Users(database).add(User(name, Role.VIEWER, quick.hash(PASSWORD)))
    token = await reader.form()
    forms = [{"csrf": token, "name": name, "password": "x" * 20} for name in names]
    flood = [asyncio.create_task(reader.http.post("/login", data=form)) for form in forms]
    refused = 40 - HASHING_AT_ONCE - HASHING_WAITS
    await until(lambda: sum(one.done() for one in flood) == refused)
    assert (await reader.http.get("/login")).status_code == 200
    hashing.enough.set()
    codes = [(await one).status_code for one in flood]
    assert (codes.count(429), codes.count(401)) == (refused, 40 - refused)
    assert hashing.most == HASHING_AT_ONCE


async def test_a_flood_of_names_that_nobody_has_keeps_nobody_out(
    reader: Reader, portal: Portal, hashing: Hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a proxy on this machine, which tells nothing of who is behind it."""
    monkeypatch.setattr("bus.portal.security.access.FAILED_SECONDS", 60.0)
    hashing.enough.set()
    token = await reader.form()
    forms = [{"csrf": token, "name": f"u{n}", "password": "x" * 20} for n in range(100)]
    async with httpx.AsyncClient(base_url=portal.url, cookies=reader.http.cookies) as http:
        flood = [asyncio.create_task(http.post("/login", data=form)) for form in forms]
        assert (await reader.log_in("viewer")).status_code == 303
        assert hashing.begun == 1
        for one in flood:
            one.cancel()
        await asyncio.wait(flood)


async def test_a_flood_of_failures_keeps_no_user_out_of_a_browser_of_theirs(
    reader: Reader, portal: Portal
) -> None:
    assert (await reader.log_in("viewer")).status_code == 303
    await reader.log_out()
    async with httpx.AsyncClient(base_url=portal.url) as http:
        stranger = Reader(http)
        for status in (401, 401, 401, 429):
            assert (await stranger.log_in("viewer", "wrong wrong wrong")).status_code == status
        assert (await stranger.log_in("viewer")).status_code == 429
    for _ in range(3):
        assert (await reader.log_in("viewer", "wrong wrong wrong")).status_code == 401
    assert (await reader.log_in("viewer")).status_code == 429  # nobody guesses there, either


@pytest.mark.parametrize("name", ["viewer", "stranger"])
async def test_a_failure_takes_as_long_for_a_name_that_nobody_has(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("bus.portal.security.access.FAILED_SECONDS", 0.5)
    begun = time.monotonic()
    assert (await reader.log_in(name, "wrong wrong wrong")).status_code == 401
    assert time.monotonic() - begun >= 0.5


async def test_who_waits_for_a_failure_s_answer_does_not_hold_up_the_end(
    settings: Settings,
    people: None,
    telemetry: Telemetry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("bus.portal.security.access.FAILED_SECONDS", 600.0)
    portal = Portal(settings, telemetry, town(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as http:
        with caplog.at_level(logging.INFO, "stadtbus.audit"):
            waiting = asyncio.create_task(Reader(http).log_in("viewer", "wrong wrong wrong"))
            await until(lambda: "login refused" in caplog.text)
        await portal.stop()
        assert (await waiting).status_code == 401
    assert "Exception" not in caplog.text


async def forwarded(reader: Reader, address: str, name: str) -> int:
    """Fail to log in through a proxy that tells from where; return the status."""
    reader.http.headers["x-forwarded-for"] = address
    return (await reader.log_in(name, "wrong wrong wrong")).status_code


async def test_a_proxy_that_is_not_trusted_is_not_believed(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "stadtbus.audit"):
        statuses = [await forwarded(reader, "192.0.2.1", f"name{n}") for n in range(5)]
    assert statuses == [401] * 5
    assert 'host="127.0.0.1"' in caplog.text
    assert "192.0.2.1" not in caplog.text


class TestBehindATrustedProxy:
    """It tells who is behind it, so that failures slow those down who fail."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        proxied = settings.portal.model_copy(update={"trusted_proxies": ("127.0.0.0/8",)})
        return settings.model_copy(update={"portal": proxied})

    async def test_failures_count_for_the_address_behind_it(
        self, reader: Reader, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "stadtbus.audit"):
            statuses = [await forwarded(reader, "192.0.2.1", f"name{n}") for n in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert 'host="192.0.2.1"' in caplog.text
        assert await forwarded(reader, "192.0.2.2", "name9") == 401

    async def test_what_a_reader_claims_before_it_counts_for_nothing(self, reader: Reader) -> None:
        claims = [await forwarded(reader, f"198.51.100.{n}, 192.0.2.1", f"n{n}") for n in range(5)]
        assert claims == [401, 401, 401, 429, 429]


@pytest.mark.parametrize(
    ("then", "leads_to"),
    [
        ("/topics", "/topics"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
    ],
)
async def test_login_leads_to_no_other_host(reader: Reader, then: str, leads_to: str) -> None:
    assert (await reader.log_in("viewer", then=then)).headers["location"] == leads_to


async def test_who_came_and_went_is_noted_and_no_password(
    reader: Reader, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "stadtbus.audit"):
        await reader.log_in("viewer\n", "secret secret secret")
        await reader.log_in("viewer")
        await reader.log_out()
    lines = [record.getMessage() for record in caplog.records if record.name == "stadtbus.audit"]
    assert lines == [
        (
            'login refused user="viewer" host="127.0.0.1" at=portal mechanism=password '
            'reason="wrong name or password"'
        ),
        'login user="viewer" host="127.0.0.1" at=portal mechanism=password role=viewer',
        'logout user="viewer" host="127.0.0.1" at=portal sessions=1',
    ]
    exposition = telemetry.exposition().decode()
    for outcome in ("ok", "refused"):
        line = f'stadtbus_logins_total{{mechanism="password",outcome="{outcome}"}} 1.0'
        assert line in exposition


async def test_a_damaged_database_lets_nobody_in(
    settings: Settings, people: None, telemetry: Telemetry
) -> None:
    with closing(sqlite3.connect(settings.data / LOGINS)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    (settings.data / LOGINS).write_bytes(b"no database at all" * 100)
    with pytest.raises(Exception, match="who may log in to the portal cannot be read"):
        Portal(settings, telemetry, town(), None)


async def test_a_database_that_fails_later_is_said_as_a_page(
    reader: Reader, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await reader.log_in("viewer")
    form = {"csrf": await reader.form("/"), "name": "viewer", "password": PASSWORD, "then": "/"}
    with closing(sqlite3.connect(settings.data / LOGINS)) as connection:
        connection.executescript("drop table session; drop table user")
    assert (await reader.http.get("/topics")).status_code == 503
    reader.http.cookies.delete("stadtbus")
    form["csrf"] = await reader.form()
    answer = await reader.http.post("/login", data=form)
    assert (answer.status_code, "Name or password" in answer.text) == (503, False)
    assert "who may log in to the portal cannot be read" in caplog.text


def test_a_portal_where_nobody_could_log_in_is_refused(
    settings: Settings, telemetry: Telemetry
) -> None:
    with pytest.raises(InvalidSettings, match="nobody can") as refused:
        Portal(settings, telemetry, town(), None)
    assert "stadtbus portal user add" in refused.value.remedy
