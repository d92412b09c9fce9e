"""What systems may do, as commands tell it: on engines that deny everything."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bus.admin import Access, Rule
from bus.cli.app import app
from bus.errors import NotFound
from bus.registry import Registry, reconciling
from bus.settings import variable
from bus.telemetry import Telemetry
from tests.city import READINGS
from tests.engine import Engine
from tests.trust.city import City
from tests.waiting import until

pytestmark = pytest.mark.slow

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(denying: Engine, registry: Registry, ca: Path, tmp_path: Path) -> Run:
    """Run a command as the administrator, beside the registry of this process."""
    kafka = denying.settings
    given = {
        "kafka.bootstrap": kafka.bootstrap,
        "kafka.security_protocol": kafka.security_protocol,
        "kafka.username": kafka.username,
        "kafka.password_file": kafka.password_file,
        "kafka.ca_file": kafka.ca_file,
        "registry.url": registry.url,
        "registry.ca_file": ca,
        "data": tmp_path / "data",
    }
    environment = {variable(name): str(value) for name, value in given.items()}

    async def run(*words: object) -> Result:
        said = [str(word) for word in words]
        return await asyncio.to_thread(CliRunner().invoke, app, said, env=environment)

    return run


@pytest.fixture
async def kept(
    denying: Engine, city: City, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has its rights, and nobody looks at the engine again."""
    write = Rule(user=city.system, kind="topic", name=READINGS, operation="Write")
    async with Access(denying.settings) as access:

        async def is_there() -> bool:
            return write in await access.rules()

        await until(is_there)
    monkeypatch.setattr(reconciling, "ANEW", 3600.0)
    since = time.time()

    def looked() -> bool:
        values = telemetry.looked.values
        return any(at > since for at in values.values())

    await until(looked)


async def test_rights_are_listed_with_their_reason(run: Run, city: City) -> None:
    def rights(done: Result) -> list[dict[str, Any]]:
        assert done.exception is None, done.exception
        return list(json.loads(done.stdout)["rights"])

    found = rights(await run("system", "rights", city.system, "-o", "json"))
    assert {name: value for name, value in found[0].items() if name != "why"} == {
        "may": "may",
        "operation": "Write",
        "kind": "topic",
        "name": READINGS,
    }
    assert all(one["why"] for one in found)
    assert f"feed.{city.member}.*" in {one["name"] for one in found}
    await city.say("member-suspended", {"member": city.member}, city.root)
    found = rights(await run("system", "rights", city.system, "-o", "json"))
    assert {(one["may"], one["why"]) for one in found} == {("may not", "it is suspended")}
    unknown = await run("system", "rights", f"{city.member}.nothing")
    assert isinstance(unknown.exception, NotFound)


async def test_a_check_tells_of_drift_and_changes_nothing(
    denying: Engine, run: Run, city: City, kept: None
) -> None:
    def told(done: Result) -> list[str]:
        assert city.system in done.stdout or not done.exit_code
        return [line for line in done.stdout.splitlines() if city.system in line]

    assert told(await run("check", "rights")) == []
    more = Rule(user=city.system, kind="topic", name=READINGS, operation="Read")
    less = Rule(user=city.system, kind="topic", name=READINGS, operation="Write")
    async with Access(denying.settings) as access:
        await access.add_rules([more])
        await access.remove_rules([less])
        await access.remove_passwords(city.system)

        async def is_changed() -> bool:
            there = set(await access.rules())
            return more in there and less not in there

        await until(is_changed)
        done = await run("check", "rights")
        assert await is_changed()
    assert done.exit_code == 2
    assert told(done) == [
        f"CRITICAL: too much: {more}",
        f"CRITICAL: missing: {less}",
        f"{city.system} has no password",
    ]
