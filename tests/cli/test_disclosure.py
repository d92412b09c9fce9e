"""`stadtbus disclosure`: as an officer asks the page, and as a recipient reads its feed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bus.admin import Admin, TopicSpec
from bus.cli.app import app
from bus.contracts import member_feed
from bus.disclosures.digest import entry_of, totals
from bus.disclosures.store import Store
from bus.errors import (
    BusError,
    BusUnavailable,
    InvalidInput,
    InvalidSettings,
    NotAuthenticated,
    NotAuthorised,
)
from bus.event import frame
from bus.kafka import LogReader, Record, Transactor
from bus.portal import Portal
from bus.portal.security.database import Database
from bus.portal.security.passwords import Passwords
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.router.routing import Write
from bus.schemas import SchemaClient
from bus.settings import load
from bus.telemetry import Telemetry
from bus.trust.attestation import GRANT, attested
from bus.trust.signature import WITHHELD
from tests.city import City, city
from tests.disclosures.told import CONTRACT, PERLESREUT, RINGELAI, TAX, WATER, event_id, told
from tests.portal.city import Watch
from tests.portal.security.conftest import PASSWORD, quick
from tests.router.town import ROUTER_KEY
from tests.waiting import until

__all__ = ["city", "quick"]

TOLD = [*(told(n) for n in range(1, 31)), told(31, owner=PERLESREUT), told(32, recipient=WATER)]
FEED = member_feed(TAX, CONTRACT)


async def run(*arguments: object, **environ: str) -> Result:
    """Run a command beside this test's event loop."""
    given = ["disclosure", *map(str, arguments)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given, env=environ))


def told_by(done: Result, what: str) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.exception
    return list(json.loads(done.stdout)[what])


@pytest.fixture
async def portal(tmp_path: Path, telemetry: Telemetry, quick: Passwords) -> AsyncIterator[Portal]:
    """A page that asks who is there, with disclosures and an officer of the tax office."""
    flags = {
        "data": tmp_path / "data",
        "portal.listen": "127.0.0.1:0",
        "portal.login": "always",
        "kafka.bootstrap": "127.0.0.1:1",
    }
    settings = load(flags, environ={}, directory=tmp_path)
    with closing(Database(settings.data)) as database:
        users = Users(database)
        for name in ("tax", "city", "viewer", "operator"):
            role = Role.OPERATOR if name == "operator" else Role.VIEWER
            users.add(User(name, role, quick.hash(PASSWORD)))
        users.set_officer("tax", TAX)
        users.set_officer("city", RINGELAI)
    with closing(Store(settings.data)) as store:
        store.add(0, [(0, TOLD)], 1)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    page = Portal(settings, telemetry, Watch(), None)
    await page.start()
    yield page
    await page.stop()


def way_in(portal: Portal, tmp_path: Path, user: str) -> list[object]:
    file = tmp_path / "password"
    return ["--portal", portal.url, "--user", user, "--password-file", file, "-o", "json"]


async def test_an_officer_lists_what_concerns_its_member(portal: Portal, tmp_path: Path) -> None:
    city = way_in(portal, tmp_path, "city")
    rows = told_by(await run("ls", *city), "disclosures")
    assert len(rows) == 31
    assert rows[0]["recipient"] == WATER
    assert rows[0]["subject"] == "person-32"
    one = told_by(await run("ls", "--subject", "person-7", *city), "disclosures")
    assert [row["event"] for row in one] == [event_id(7)]
    agency = way_in(portal, tmp_path, "tax")
    assert {row["subject"] for row in told_by(await run("ls", *agency), "disclosures")} == {None}
    assert len(told_by(await run("ls", "--event", event_id(31), *agency), "disclosures")) == 1


async def test_as_many_as_are_asked_for_are_listed(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.portal.disclosing.MOST_ROWS", 7)
    city = way_in(portal, tmp_path, "city")
    assert len(told_by(await run("ls", "-n", 20, *city), "disclosures")) == 20
    events = [row["event"] for row in told_by(await run("ls", *city), "disclosures")]
    assert len(set(events)) == len(events) == 31


async def test_an_operator_is_told_that_masked_fields_cannot_be_asked_for(
    portal: Portal, tmp_path: Path
) -> None:
    operator = way_in(portal, tmp_path, "operator")
    done = await run("ls", "--subject", "person-7", *operator)
    assert {row["subject"] for row in told_by(done, "disclosures")} == {"•••"}
    assert "cannot be asked for" in done.stderr


async def test_digests_of_the_page(portal: Portal, tmp_path: Path) -> None:
    rows = told_by(
        await run("digest", "--day", "2026-07-01", *way_in(portal, tmp_path, "city")), "digests"
    )
    expected = totals(entry_of(one) for one in TOLD if one.owner == RINGELAI)
    assert [row["digest"] for row in rows] == [one.digest.hex() for one in expected]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["ls"], NotAuthenticated),
        (["ls", "--user", "viewer", "--password-file", "password"], NotAuthorised),
        (["ls", "--user", "tax", "--password-file", "wrong"], NotAuthenticated),
        (["ls", "--user", "tax"], InvalidSettings),
        (["ls", "--password-file", "password"], InvalidSettings),
        (["ls", "--since", "x", "--user", "tax", "--password-file", "password"], InvalidInput),
        (["ls", "--event", "x", "--user", "tax", "--password-file", "password"], InvalidInput),
        (["digest", "--day", "x"], InvalidSettings),
        (["digest", "--day", "2026-07-01", "--feed", "feed.open.a.b.v1"], InvalidInput),
        (["digest", "--day", "2026-07-01", "--feed", "a.b.v1"], InvalidInput),
    ],
)
async def test_what_cannot_be_done_is_said(
    portal: Portal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    error: type[BusError],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong").write_text("wrong\n")
    done = await run(*arguments, "--portal", portal.url)
    assert isinstance(done.exception, error), done.exception
    assert done.exception.remedy


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://bus.town.example", InvalidSettings), ("http://127.0.0.1:1", BusUnavailable)],
)
async def test_a_page_that_cannot_be_asked(tmp_path: Path, url: str, error: type[BusError]) -> None:
    (tmp_path / "password").write_text("a password\n")
    login = ["--user", "tax", "--password-file", tmp_path / "password"]
    done = await run("ls", "--portal", url, *login)
    assert isinstance(done.exception, error)


def on_feed(number: int, at_ms: int, *, schema: int | None) -> Write:
    """Return a record of the tax office's feed, as the router writes it."""
    headers = [
        ("ce_id", event_id(number).encode()),
        ("ce_type", CONTRACT.encode()),
        ("ce_subject", b"somebody"),
        (WITHHELD, b"@key,@subject,register,pseudonym,sealed"),
        (GRANT, told().grants[0].hex().encode()),
    ]
    value = None if schema is None else frame(schema, b"data")
    record = Record(f"key-{number}".encode(), value, headers)
    return FEED, number % 3, attested(ROUTER_KEY, FEED, number % 3, record, at_ms)


async def test_a_recipient_digests_its_feed(
    city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    now = int(time.time() * 1000)
    names = ["register", "pseudonym", "cause", "sealed", "new_address"]
    fields = [{"name": name, "type": ["string", "null"]} for name in names]
    async with SchemaClient.of(city.settings) as schemas:
        schema = await schemas.register(
            f"{FEED}-value", {"type": "record", "name": "Moved", "fields": fields}
        )
    async with Admin(city.settings.kafka) as admin:
        await admin.ensure_topic(TopicSpec(name=FEED, partitions=3))
    writes = [on_feed(number, now + number, schema=schema) for number in range(20)]
    ended = on_feed(20, now, schema=None)
    yesterday = on_feed(21, now - 86_400_000, schema=schema)
    odd: Write = (FEED, 0, Record(b"k", None, [("ce_id", b"x")]))
    async with Transactor(city.settings.kafka, "router") as router:
        await router.write([*writes, ended, yesterday, odd])
    given = ("cause", "new_address", "pseudonym")
    disclosed = [told(n, at_ms=now + n, partition=n % 3, fields=given) for n in range(20)]
    disclosed.append(told(20, at_ms=now, partition=2, fields=()))
    day = entry_of(disclosed[0]).day
    expected = [one for one in totals(map(entry_of, disclosed)) if one.line.day == day]

    await until(lambda: written(city, 23))
    kafka, registry = city.settings.kafka.bootstrap, city.settings.registry.url
    arguments = ["--kafka", kafka, "--registry", registry, "--feed", FEED, "-o", "json"]
    done = await run("digest", "--day", day.isoformat(), *arguments)
    assert done.exit_code == 7, done.exception
    assert "is not counted" in done.stderr
    rows = json.loads(done.stdout)["digests"]
    assert [(row["deliveries"], row["digest"]) for row in rows] == [
        (one.deliveries, one.digest.hex()) for one in expected
    ]
    assert {(row["recipient"], row["topic"]) for row in rows} == {(TAX, CONTRACT)}


async def written(city: City, least: int) -> bool:
    """Whether so many records are committed; Apache Kafka answers before all marks are there."""
    async with LogReader(city.settings.kafka) as reader:
        bounds = await reader.bounds(FEED)
        found = [await reader.read(FEED, p, 0, max_wait=0) for p, (_, end) in bounds.items() if end]
    return sum(map(len, found)) >= least
