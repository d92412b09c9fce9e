"""Members and grants on the pages of a real node, and of a portal whose registry is elsewhere."""

import html
import json
import re
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bus.portal import Portal
from bus.settings import load
from bus.telemetry import Telemetry
from bus.trust.keys import make
from ops.node import NodeProcess
from tests.portal.city import Watch
from tests.portal.forms import proof
from tests.trust.desk import OFFICES, RINGELAI, Desk
from tests.waiting import until

pytestmark = pytest.mark.slow

OFFICE, TOPIC = "de.agency.finanzamt", "resident.address-changed.v1"
ASK = (
    "grant", "ask", TOPIC, "--recipient", OFFICE, "--owner", RINGELAI, "--field", "cause",
    "--purpose", "tax", "--norm", "§ 34 Abs. 1 BMG", "--basis", "Für die Grundsteuer.",
    "--until", "2099-01-01T00:00:00Z", "--sign", "office.key",
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    roles = ("--roles", "broker,registry,portal")
    with NodeProcess(tmp_path_factory.mktemp("node"), *roles) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, node: NodeProcess) -> Desk:
    """A town, and an office that may ask."""
    desk = Desk(tmp_path_factory.mktemp("desk"), node).with_a_town()
    make(desk.folder / "office.key")
    admitted = ("--key", "office.pem", "--name", "Finanzamt", *OFFICES, "--sign", "root.key")
    desk.does("member", "admit", OFFICE, *admitted)
    return desk


@asynccontextmanager
async def looking(node: NodeProcess, where: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a reader of the node's own portal, or of one whose registry is the node's."""
    headers = {"accept-language": "en"}
    if where == "node":
        url = str(node.ready["portal"])
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as reader:
            yield reader
        return
    flags = {
        "data": folder,
        "portal.listen": "127.0.0.1:0",
        "kafka.bootstrap": node.ready["broker"],
        "registry.url": node.ready["registry"],
    }
    portal = Portal(load(flags, environ={}, directory=folder), Telemetry(), Watch(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=30) as reader:
        yield reader
    await portal.stop()


@pytest.mark.parametrize("where", ["node", "elsewhere"])
async def test_what_is_said_by_command_is_seen_and_what_is_handed_in_counts(
    node: NodeProcess, desk: Desk, tmp_path: Path, where: str
) -> None:
    await to_thread(desk.does, *ASK)
    name = (await to_thread(desk.does, "grant", "ls"))["grants"][-1]["grant"]
    async with looking(node, where, tmp_path) as reader:

        async def seen() -> bool:
            return name[:12] in (await reader.get("/grants")).text

        await until(seen)
        assert "Ringelai" in (await reader.get("/members")).text
        page = (await reader.get(f"/grants/{name}")).text
        assert "Finanzamt gets data of Ringelai." in page
        digest = re.search(r'name="grant" value="([0-9a-f]{64})"', page)
        assert digest is not None
        step = {"grant": digest[1], "kind": "grant-approved"}
        prepared = (await reader.post("/grants/step", data=step | await proof(reader))).text
        statement = re.search(r'name="statement" value="([^"]*)"', prepared)
        assert statement is not None
        file = desk.folder / f"approve-{where}.json"
        file.write_text(html.unescape(statement[1]))

        async def handed_in() -> httpx.Response:
            form = {"statement": file.read_text()} | await proof(reader)
            return await reader.post("/grants/hand-in", data=form)

        unsigned = await handed_in()
        assert unsigned.status_code == 400
        assert "one member, with a key that counts now" in html.unescape(unsigned.text)
        await to_thread(desk.does, "trust", "sign", file, "--sign", "city.key")
        done = await handed_in()
        assert done.status_code == 303, done.text
        page = (await reader.get(done.headers["location"])).text
        assert "in force" in page
        again = await handed_in()
        assert "counts once" in html.unescape(again.text)
    assert (await to_thread(desk.does, "grant", "show", name))["state"] == "live"
    assert (await to_thread(desk.does, "trust", "check"))["alarms"] == []
    assert json.loads(file.read_text())["signatures"]
