"""Statements over HTTP: checked before they are appended, and handed out for folding anew."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bus.admin import Admin
from bus.errors import InvalidStatement, StatementRefused
from bus.event import write_time
from bus.journal import Journal
from bus.kafka import LogReader, Producer
from bus.registry import Registry, trust
from bus.rest import RestClient
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.trust.client import TrustClient
from bus.trust.keys import FileSigner, public_text
from bus.trust.statements import MAX_BYTES, Statement, compose
from tests.trust.parties import signer

pytestmark = pytest.mark.slow

ROOT, CITY, STRANGER = signer(1), signer(2), signer(3)
RINGELAI = "de.mun.092720140140"

Start = Callable[[], Awaitable[Registry]]


def client(registry: Registry) -> TrustClient:
    return TrustClient(RestClient(registry.url))


def statement(
    registry: Registry, kind: str, says: dict[str, Any], *signers: FileSigner
) -> Statement:
    chain = registry.ledger.chain
    return compose(chain, kind, says, issued=datetime.now(UTC)).signed(*signers)


def root(registry: Registry, key: FileSigner = ROOT) -> Statement:
    return statement(registry, "root", {"public": public_text(key.public)}, key)


def admission(registry: Registry, member: str, key: FileSigner) -> Statement:
    now = datetime.now(UTC).replace(microsecond=0)
    says: dict[str, Any] = {
        "member": member,
        "name": f"Name of {member}",
        "contact": "bus@town.example",
        "privacy": "datenschutz@town.example",
        "key": {
            "public": public_text(key.public),
            "from": write_time(now),
            "until": write_time(now + timedelta(days=365)),
        },
    }
    if member == RINGELAI:
        says["ars"] = {"value": "092720140140", "from": "2020-01-01"}
    return statement(registry, "member", says, ROOT)


async def test_what_is_handed_in_counts_and_is_handed_out(registry: Registry) -> None:
    async with client(registry) as one, client(registry) as other:
        ledger = await one.follow()
        assert (ledger.chain, ledger.standing.root) == (registry.ledger.chain, None)
        first = await one.hand_in(root(registry))
        second = await one.hand_in(admission(registry, RINGELAI, CITY))
        assert 1 < first < second
        for ledger in (await one.follow(), await other.follow(), registry.ledger):
            assert list(ledger.standing.members) == [RINGELAI]
            assert ledger.alarms == []
            key = ledger.standing.keys[CITY.key_id]
            assert (key.owner, key.entry) == (RINGELAI, second)
            assert key.since == registry.ledger.standing.keys[CITY.key_id].since


async def test_the_engines_clock_counts(registry: Registry) -> None:
    before = int(datetime.now(UTC).timestamp() * 1000) - 1000
    async with client(registry) as one:
        await one.hand_in(root(registry))
        found = (await one.follow()).standing.root
    assert found is not None
    assert before <= found.since <= int(datetime.now(UTC).timestamp() * 1000) + 1000


async def test_what_has_no_effect_is_not_appended(
    registry: Registry, http: httpx.AsyncClient
) -> None:
    async with client(registry) as one:
        await one.hand_in(root(registry))
        length = len((await http.get("/trust/statements")).json()["entries"])
        suspended = {"member": RINGELAI}
        good = root(registry)
        for wrong, error, words in (
            (
                statement(registry, "member-suspended", suspended, STRANGER),
                StatementRefused,
                "root",
            ),
            (
                statement(registry, "member-suspended", suspended, ROOT),
                StatementRefused,
                "no member",
            ),
            (statement(registry, "member-suspended", {}, ROOT), InvalidStatement, "member"),
            (compose("x", "root", good.says, issued=good.issued), StatementRefused, "another bus"),
        ):
            with pytest.raises(error, match=words):
                await one.hand_in(wrong)
    assert len((await http.get("/trust/statements")).json()["entries"]) == length
    assert registry.ledger.alarms == []


async def test_a_statement_is_appended_once(registry: Registry) -> None:
    async with client(registry) as one:
        said = root(registry)
        await one.hand_in(said)
        with pytest.raises(StatementRefused, match="was said before"):
            await one.hand_in(said)


async def test_the_first_root_is_not_named_where_everybody_may_bring_statements(
    registry: Registry, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/trust/statements", json=root(registry).body())
    assert (answer.status_code, answer.json()["error_code"]) == (403, 40302)
    assert (await http.post("/trust/root", json=root(registry).body())).status_code == 200
    both = root(registry, CITY).signed(ROOT)
    assert (await http.post("/trust/statements", json=both.body())).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 422),
        (b"[" * 100_000, 400),
        (b'{"text":"' + b"[" * 60_000 + b'","signatures":[]}', 422),
        (json.dumps({"text": "x" * (MAX_BYTES + 1), "signatures": []}).encode(), 422),
        (b'{"text":"\\ud800","signatures":[]}', 422),
        (b"x" * (2**20 + 1), 413),
        (b'{"text":1,"signatures":{}}', 422),
    ],
)
async def test_hostile_bodies_are_refused(
    http: httpx.AsyncClient, content: bytes, status: int
) -> None:
    answer = await http.post("/trust/statements", content=content)
    assert answer.status_code == status
    assert answer.json()["message"]


@pytest.mark.parametrize("after", ["-1", "x", "1" * 20, "\u0661"])
async def test_after_is_a_number(http: httpx.AsyncClient, after: str) -> None:
    answer = await http.get("/trust/statements", params={"after": after})
    assert answer.status_code == 400


async def test_pages_follow_each_other(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "PAGE_BYTES", 1)
    async with client(registry) as one, client(registry) as other:
        await one.hand_in(root(registry))
        for number in range(5):
            await one.hand_in(admission(registry, f"de.util.u{number}", signer(10 + number)))
        assert len((await other.follow()).standing.members) == 5


async def test_two_registries_append_what_both_find_right_once(start: Start) -> None:
    """Of two admissions of one member at once, one counts and the other is never appended."""
    one, two = await start(), await start()
    async with client(one) as first, client(two) as second:
        await first.hand_in(root(one))
        outcomes = await asyncio.gather(
            first.hand_in(admission(one, RINGELAI, CITY)),
            second.hand_in(admission(one, RINGELAI, STRANGER)),
            return_exceptions=True,
        )
        refused = [one for one in outcomes if isinstance(one, StatementRefused)]
        assert len(refused) == 1
        assert "admitted before" in str(refused[0])
        for ledger in (await first.follow(), await second.follow()):
            assert ledger.alarms == []
            assert len(ledger.standing.keys) == 2


async def test_what_is_written_past_the_registry_is_an_alarm_without_effect(
    start: Start, bare: KafkaSettings, telemetry: Telemetry
) -> None:
    registry = await start()
    async with client(registry) as one, AsyncExitStack() as running:
        await one.hand_in(root(registry))
        await one.hand_in(admission(registry, RINGELAI, CITY))
        journal = Journal(
            await running.enter_async_context(Producer(bare)),
            await running.enter_async_context(LogReader(bare)),
            await running.enter_async_context(Admin(bare)),
            lambda entry: None,
        )
        await journal.open()
        forged = statement(registry, "member-suspended", {"member": RINGELAI}, CITY)
        await journal.append("statement", forged.body())
        await journal.append("statement", {"text": 7})
        for ledger in (await one.follow(), registry.ledger):
            assert [alarm.reason for alarm in ledger.alarms] == ["not-entitled", "malformed"]
            assert ledger.standing.members[RINGELAI].phase == "active"
    assert b"stadtbus_trust_alarms_total 2.0" in telemetry.exposition()
    await start()
    assert b"stadtbus_trust_alarms_total 2.0" in telemetry.exposition()
