"""Logging in with a real browser, over TLS: what it sends, keeps, and is refused."""

from pathlib import Path

import pytest
import trustme
from playwright.async_api import Browser, Page, expect

from bus.portal import Portal
from bus.settings import Settings, load
from tests.portal.browsing import AXE, EXAMINE, RULES, SCHEMES
from tests.portal.security.conftest import PASSWORD

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A portal that speaks TLS and asks everybody."""
    certificate = tmp_path / "node.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    flags = {
        "data": tmp_path,
        "portal.listen": "127.0.0.1:0",
        "portal.login": "always",
        "portal.certificate_file": certificate,
    }
    return load(flags, environ={}, directory=tmp_path)


async def test_in_and_out_again(own_browser: Browser, portal: Portal) -> None:
    url = f"https://localhost:{portal.address.port}"
    context = await own_browser.new_context(base_url=url, locale="de", ignore_https_errors=True)
    page = await context.new_page()
    await page.goto("/topics?find=sensor")
    await page.get_by_label("Name").fill("operator")
    await page.get_by_label("Kennwort").fill("something else")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("Name oder Kennwort ist falsch.")
    await page.get_by_label("Kennwort").fill(PASSWORD)
    await page.get_by_role("button", name="Anmelden").click()
    await page.wait_for_url(f"{url}/topics?find=sensor")
    await expect(page.locator("#live-control .word")).to_have_text("Aktuell")
    kept = {str(one.get("name")): one for one in await context.cookies()}
    assert kept["__Host-stadtbus"].get("secure")
    assert kept["__Host-stadtbus"].get("httpOnly")
    assert kept["__Host-stadtbus"].get("sameSite") == "Lax"
    assert not await page.evaluate("document.cookie")
    refused = await page.goto("/node")
    assert refused is not None
    assert refused.status == 403
    await page.get_by_role("button", name="Abmelden").click()
    await page.wait_for_url(f"{url}/login")
    await page.go_back()
    await page.goto("/topics")
    await page.wait_for_url(f"{url}/login?then=%2Ftopics")
    await context.close()


async def test_a_page_that_is_open_says_that_its_reader_is_out(
    own_browser: Browser, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page on a wall is not mistaken for a bus that does not answer."""
    monkeypatch.setattr("bus.portal.guard.LOOK_SECONDS", 0.0)
    url = f"https://localhost:{portal.address.port}"
    context = await own_browser.new_context(base_url=url, locale="en", ignore_https_errors=True)
    wall, desk = await context.new_page(), await context.new_page()
    await desk.goto("/login")
    await log_in(desk)
    await wall.goto("/subscribers")
    status = wall.locator("#live-control").get_by_role("status")
    await expect(status).to_have_text("Live")
    await desk.goto("/topics")
    await desk.get_by_role("button", name="Log out").click()
    await desk.wait_for_url(f"{url}/login")
    await expect(status).to_have_text("You are logged out. Load the page again.", timeout=30_000)
    await context.close()


async def log_in(page: Page) -> None:
    await page.locator("#name").fill("operator")
    await page.locator("#password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/")


async def test_another_page_cannot_send_our_forms(own_browser: Browser, portal: Portal) -> None:
    """A site of the same host, on another port, has the cookies sent along; it is refused."""
    url = f"https://localhost:{portal.address.port}"
    context = await own_browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.goto(f"{url}/login")
    await page.get_by_label("Name").fill("operator")
    await page.locator("#password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{url}/")
    form = f'<form method="post" action="{url}/logout"><button>x</button></form>'
    await page.route(
        "https://localhost:1/", lambda route: route.fulfill(body=form, content_type="text/html")
    )
    await page.goto("https://localhost:1/")
    async with page.expect_response(f"{url}/logout") as answered:
        await page.get_by_role("button").click()
    assert (await answered.value).status == 400
    still = await page.goto(f"{url}/topics")
    assert still is not None
    assert (still.status, still.url) == (200, f"{url}/topics")
    await context.close()


@pytest.mark.parametrize(("locale", "width"), [("de", 320), ("en", 1280)])
async def test_axe_finds_nothing(
    own_browser: Browser, portal: Portal, locale: str, width: int
) -> None:
    url = f"https://localhost:{portal.address.port}"
    for scheme in SCHEMES:
        context = await own_browser.new_context(
            base_url=url,
            locale=locale,
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            ignore_https_errors=True,
            bypass_csp=True,
        )
        page = await context.new_page()
        await page.goto("/login")
        await page.locator("#name").fill("operator")
        await page.locator("#password").fill("wrong wrong wrong")
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").wait_for()
        await page.evaluate(AXE)
        assert await page.evaluate(EXAMINE, RULES) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.locator("#password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{url}/")
        await page.evaluate(AXE)
        assert await page.evaluate(EXAMINE, RULES) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await context.close()
