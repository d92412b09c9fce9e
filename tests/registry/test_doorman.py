"""Who may read and who may write at a registry that asks for a login."""

import asyncio
import base64
import logging
from collections.abc import Iterable
from typing import Any

import pytest

from bus.errors import BusUnavailable
from bus.registry import doorman
from bus.registry.doorman import Doorman
from bus.registry.refusals import Refusal
from bus.telemetry import Telemetry
from tests.clock import Clock

READER, WRITER = ("reader", "r:pass"), ("writer", "w-pass")


class Engine:
    """Knows two users, and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        self.under_way = self.most = 0

    async def __call__(self, user: str, password: str) -> bool:
        self.asked.append(user)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.away:
            raise BusUnavailable("no broker answers")
        return (user, password) in (READER, WRITER)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def door(engine: Engine, clock: Clock, telemetry: Telemetry) -> Doorman:
    return Doorman(engine, ["User:writer"], telemetry, clock=clock)


def basic(user: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def scope(header: bytes | None, method: str = "GET", path: str = "/subjects") -> dict[str, Any]:
    headers: Iterable[tuple[bytes, bytes]] = [(b"authorization", header)] if header else []
    return {"method": method, "path": path, "headers": headers, "client": ("192.0.2.7", 1)}


async def refused(door: Doorman, *args: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await door.admit(scope(*args))
    return refusal.value


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"Bearer abc", id="another scheme"),
        pytest.param(b"Basic", id="no token"),
        pytest.param(b"Basic !!!", id="no base 64"),
        pytest.param(b"Basic " + base64.b64encode(b"reader"), id="no colon"),
        pytest.param(b"Basic " + base64.b64encode(b":secret"), id="no user"),
        pytest.param(b"Basic " + base64.b64encode(b"reader:"), id="no password"),
        pytest.param(b"Basic " + base64.b64encode(b"\xff:x"), id="no UTF-8"),
        pytest.param(b"Basic " + base64.b64encode(b"a\nb:x"), id="a user with a line's end"),
        pytest.param(basic("a" * 2000, "x"), id="a very long name"),
    ],
)
async def test_what_is_no_login_is_refused_without_asking_the_engine(
    door: Doorman, engine: Engine, header: bytes | None
) -> None:
    refusal = await refused(door, header)
    assert (refusal.status, refusal.code) == (401, 40101)
    assert engine.asked == []


async def test_a_wrong_password_is_refused_and_noted(
    door: Doorman, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "stadtbus.audit"):
        refusal = await refused(door, basic("reader", "wrong"))
    assert (refusal.status, refusal.code) == (401, 40101)
    assert refusal.message == "The engine does not know the user reader by this password."
    assert 'login refused user="reader" host="192.0.2.7" at=registry' in caplog.text
    assert "wrong" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("GET", "/subjects", False),
        ("HEAD", "/", False),
        ("GET", "/contracts/a.b.v1", False),
        ("POST", "/subjects/a.b.v1-value", False),
        ("POST", "/compatibility/subjects/a-value/versions", False),
        ("POST", "/compatibility/subjects/a-value/versions/latest", False),
        ("GET", "/trust/statements", False),
        ("POST", "/trust/statements", False),
        ("PUT", "/trust/statements", True),
        ("POST", "/trust/root", True),
        ("POST", "/subjects/a.b.v1-value/versions", True),
        ("PUT", "/config", True),
        ("PUT", "/config/a-value", True),
        ("PUT", "/contracts/a.b.v1", True),
        ("PUT", "/compatibility/subjects/a-value/versions", True),
        ("DELETE", "/subjects/a-value", True),
        ("POST", "/", True),
        ("POST", "/subjects/a/b/c", True),
    ],
)
async def test_everybody_may_read_and_who_is_named_may_write(
    door: Doorman,
    caplog: pytest.LogCaptureFixture,
    telemetry: Telemetry,
    method: str,
    path: str,
    writes: bool,
) -> None:
    await door.admit(scope(basic(*WRITER), method, path))
    if not writes:
        await door.admit(scope(basic(*READER), method, path))
        return
    refusal = await refused(door, basic(*READER), method, path)
    assert (refusal.status, refusal.code) == (403, 40301)
    assert f'operation={method} name="{path}"' in caplog.text
    assert refusal.message == "The user reader may read here, but not write."
    denied = telemetry.registry.get_sample_value("stadtbus_denials_total", {"api": "registry"})
    assert denied == 1


async def test_a_password_counts_for_a_minute_without_asking_again(
    door: Doorman, engine: Engine, clock: Clock
) -> None:
    for _ in range(3):
        await door.admit(scope(basic(*READER)))
    assert engine.asked == ["reader"]
    clock.now += doorman.KNOWN_SECONDS + 1
    await door.admit(scope(basic(*READER)))
    assert engine.asked == ["reader", "reader"]


async def test_who_is_locked_out_is_refused_though_the_password_is_remembered(
    engine: Engine, clock: Clock, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    out: set[str] = set()
    door = Doorman(
        engine, ["User:writer"], telemetry, clock=clock, locked_out=lambda one: one in out
    )
    await door.admit(scope(basic(*READER)))
    out.add("User:reader")
    refusal = await refused(door, basic(*READER))
    assert (refusal.status, refusal.code) == (403, 40303)
    assert 'denied principal="User:reader"' in caplog.text
    await door.admit(scope(basic(*WRITER)))
    out.clear()
    await door.admit(scope(basic(*READER)))
    assert engine.asked == ["reader", "writer"]


async def test_a_wrong_password_is_asked_about_again_after_seconds(
    door: Doorman, engine: Engine, clock: Clock
) -> None:
    for _ in range(3):
        await refused(door, basic("reader", "wrong"))
    assert engine.asked == ["reader"]
    clock.now += doorman.REFUSED_SECONDS + 1
    await refused(door, basic("reader", "wrong"))
    assert engine.asked == ["reader", "reader"]


async def test_one_users_password_lets_no_other_in(door: Doorman) -> None:
    await door.admit(scope(basic(*READER)))
    await refused(door, basic("writer", READER[1]))


async def test_who_comes_at_once_is_asked_about_once(door: Doorman, engine: Engine) -> None:
    await asyncio.gather(*(door.admit(scope(basic(*READER))) for _ in range(20)))
    assert engine.asked == ["reader"]


async def test_many_passwords_at_once_are_tried_a_few_at_a_time(
    door: Doorman, engine: Engine
) -> None:
    await asyncio.gather(*(refused(door, basic("reader", f"{n}")) for n in range(50)))
    assert len(engine.asked) == 50
    assert engine.most == doorman.AT_ONCE


async def test_what_is_kept_is_bounded(door: Doorman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "MOST_KEPT", 5)
    for n in range(20):
        await refused(door, basic("reader", f"{n}"))
    assert len(door._kept) == 5
    assert not door._asking


async def test_while_the_engine_is_away_nobody_is_called_wrong(
    door: Doorman, engine: Engine
) -> None:
    engine.away = True
    with pytest.raises(BusUnavailable):
        await door.admit(scope(basic(*READER)))
    engine.away = False
    await door.admit(scope(basic(*READER)))


async def test_nobody_fills_the_audit_log(door: Doorman, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(300):
        with pytest.raises(Refusal):
            await door.admit(scope(basic(*READER), "PUT", f"/config/{number % 2}"))
        with pytest.raises(Refusal):
            await door.admit(scope(basic("reader", f"wrong {number}")))
    told = [record.getMessage() for record in caplog.records if record.name == "stadtbus.audit"]
    assert len(told) == 3
