"""Logging in by a real provider of identities: npm's oidc-provider, run by Node."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from bus.portal import Portal
from bus.settings import load
from bus.telemetry import Telemetry
from tests.conftest import refuse
from tests.portal.city import town
from tests.portal.security.conftest import Reader

pytestmark = pytest.mark.slow

VERSION = "8.8.1"
PORTAL = "http://portal.town.example"
PROGRAM = Path(__file__).with_name("provider.mjs")


@pytest.fixture(scope="session")
def installed() -> Path:
    """The folder where the provider is installed; it is fetched once, without running scripts."""
    folder = Path.home() / ".cache" / "stadtbus" / f"oidc-provider-{VERSION}"
    if shutil.which("node") is None or shutil.which("npm") is None:
        refuse("Node is missing: install Debian's packages nodejs and npm")
    if not (folder / "node_modules" / "oidc-provider").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]
        done = subprocess.run(
            [*command, str(folder), f"oidc-provider@{VERSION}"],
            capture_output=True,
            text=True,
            timeout=100,
        )
        if done.returncode:
            refuse(f"oidc-provider cannot be installed: {done.stderr[-300:]}")
    return folder


@pytest.fixture
async def issuer(installed: Path) -> AsyncIterator[str]:
    """The provider, running."""
    process = await asyncio.create_subprocess_exec(
        "node", str(PROGRAM), PORTAL, cwd=installed, stdout=-1, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        yield (await process.stdout.readline()).decode().strip()
    process.terminate()
    await process.communicate()


@asynccontextmanager
async def portal_of(folder: Path, issuer: str) -> AsyncIterator[Reader]:
    """Yield a browser at a portal that knows the provider."""
    (folder / "secret").write_text("for tests alone\n")
    flags = {
        "data": folder,
        "portal.listen": "127.0.0.1:0",
        "portal.login": "always",
        "portal.url": PORTAL,
        "portal.oidc.issuer": issuer,
        "portal.oidc.client_id": "stadtbus",
        "portal.oidc.client_secret_file": str(folder / "secret"),
        "portal.oidc.viewers": "bus-readers",
        "portal.oidc.administrators": "bus-admins",
    }
    portal = Portal(load(flags, environ={}, directory=folder), Telemetry(), town(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, headers={"accept-language": "en"}) as http:
        yield Reader(http)
    await portal.stop()


async def came_back(asked: str, name: str) -> str:
    """Log in at the provider as a browser does; return where it sends the browser back to."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(asked)
        while not answer.headers.get("location", "").startswith(PORTAL):
            if answer.is_redirect:
                answer = await browser.get(urljoin(str(answer.url), answer.headers["location"]))
                continue
            action = re.search(r'action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert action, answer.text
            assert prompt, answer.text
            form = {"prompt": prompt[1], "login": name, "password": "anything"}
            answer = await browser.post(urljoin(str(answer.url), action[1]), data=form)
        return str(answer.headers["location"]).removeprefix(PORTAL)


async def logged_in(reader: Reader, name: str, then: str = "/") -> httpx.Response:
    """Go to the provider and back."""
    asked = await reader.http.get("/login/provider", params={"then": then})
    assert asked.status_code == 303, asked.text
    return await reader.http.get(await came_back(asked.headers["location"], name))


async def test_groups_become_roles(tmp_path: Path, issuer: str, quick: object) -> None:
    async with portal_of(tmp_path, issuer) as reader:
        assert "your organisation" in (await reader.http.get("/login")).text
        answer = await logged_in(reader, "anna", then="/node")
        assert (answer.status_code, answer.headers["location"]) == (303, "/node")
        page = await reader.http.get("/node")
        assert page.status_code == 200
        assert "anna@town" in page.text
        assert "administrator" in page.text
    async with portal_of(tmp_path, issuer) as reader:
        await logged_in(reader, "bert")
        assert (await reader.http.get("/topics")).status_code == 200
        assert (await reader.http.get("/node")).status_code == 403


async def test_who_is_in_no_group_of_ours_is_told_so(
    tmp_path: Path, issuer: str, quick: object
) -> None:
    async with portal_of(tmp_path, issuer) as reader:
        refused = await logged_in(reader, "carla")
        assert refused.status_code == 403
        assert "none of your groups may see this page" in refused.text
        assert (await reader.http.get("/topics")).status_code == 303


async def test_it_is_asked_with_pkce_state_and_nonce(
    tmp_path: Path, issuer: str, quick: object
) -> None:
    async with portal_of(tmp_path, issuer) as reader:
        asked = [await reader.http.get("/login/provider") for _ in range(2)]
        first, second = (parse_qs(urlsplit(one.headers["location"]).query) for one in asked)
        assert first["response_type"] == ["code"]
        assert first["code_challenge_method"] == ["S256"]
        assert first["redirect_uri"] == [f"{PORTAL}/login/back"]
        for name in ("state", "nonce", "code_challenge"):
            assert first[name] != second[name]
            assert len(first[name][0]) >= 43


async def test_logging_out_leads_to_the_provider_s_own_logout(
    tmp_path: Path, issuer: str, quick: object
) -> None:
    async with portal_of(tmp_path, issuer) as reader:
        await logged_in(reader, "anna")
        out = await reader.log_out()
        assert out.status_code == 200
        link = re.search(r'href="(http://127[^"]+)"', out.text)
        assert link
        assert (await reader.http.get("/topics")).status_code == 303
        async with httpx.AsyncClient() as browser:  # one that the provider knows no session of
            form = await browser.get(unescape(link[1]))
            action = re.search(r'action="([^"]+)"', form.text)
            proof = re.search(r'name="xsrf" value="([^"]+)"', form.text)
            assert action, form.text
            assert proof, form.text
            left = await browser.post(action[1], data={"xsrf": proof[1], "logout": "yes"})
        assert left.headers["location"] == f"{PORTAL}/login"


async def test_a_code_counts_once_and_in_its_own_browser(
    tmp_path: Path, issuer: str, quick: object
) -> None:
    async with portal_of(tmp_path, issuer) as reader:
        asked = await reader.http.get("/login/provider")
        back = await came_back(asked.headers["location"], "anna")
        kept = dict(reader.http.cookies)
        async with httpx.AsyncClient(base_url=reader.http.base_url) as other:
            assert (await other.get(back)).status_code == 401
        assert (await reader.http.get(back)).status_code == 303
        reader.http.cookies.clear()
        for name, value in kept.items():
            reader.http.cookies.set(name, value)
        assert (await reader.http.get(back)).status_code == 401
