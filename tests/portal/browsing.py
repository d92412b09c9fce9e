"""A reader's browser: Chromium without a window, and what axe and a ruler find in a page."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Literal

from playwright.async_api import Browser, Page, async_playwright

from bus.portal import Portal
from tests.conftest import refuse
from tests.portal.city import Watch

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EXAMINE = """async (rules) => (await axe.run(document, {runOnly: rules})).violations.flatMap(
    (rule) => rule.nodes.map((node) => `${rule.id}: ${node.html}: ${node.failureSummary}`))"""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIDEWAYS = """[...document.querySelectorAll(".table")].filter(
    (table) => table.checkVisibility() && table.scrollWidth > table.clientWidth).length"""
OPENED = "document.querySelectorAll('details').forEach((one) => { one.open = true })"
CLOSED = "document.querySelectorAll('details').forEach((one) => { one.open = false })"
SETTLED = "#live-control:not([hidden])"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yield Chromium without a window; skip where it is missing."""
    found = shutil.which("chromium")
    if found is None:
        refuse("Chromium is missing: install Debian's package chromium")
    # As root, as in containers, Chromium has no sandbox of its own.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        await browser.close()


class Site:
    """A portal, what it watches, and how a reader looks at it."""

    def __init__(self, portal: Portal, watch: Watch, browser: Browser) -> None:
        self.portal, self.watch, self._browser = portal, watch, browser

    @asynccontextmanager
    async def reader(
        self,
        locale: str = "en",
        *,
        scripts: bool = True,
        complaints: bool = False,
        zone: str | None = None,
    ) -> AsyncIterator[Page]:
        """Yield a page; nothing may be asked of anybody else, and nothing may go wrong.

        Args:
            locale: the reader's language.
            scripts: whether scripts are run.
            complaints: the browser may say that something went wrong.
            zone: the time zone that the reader's machine is in; None: this machine's.
        """
        context = await self._browser.new_context(
            base_url=self.portal.url,
            locale=locale,
            timezone_id=zone,
            viewport={"width": 1280, "height": 800},
            java_script_enabled=scripts,
        )
        said: list[str] = []
        asked: list[str] = []
        page = await context.new_page()
        page.on("console", lambda one: said.append(one.text) if one.type != "log" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        try:
            yield page
        finally:
            await context.close()
        assert complaints or said == []
        assert {url for url in asked if not url.startswith(f"{self.portal.url}/")} == set()


async def examiner(page: Page) -> Callable[[], Awaitable[list[str]]]:
    """Return what examines a page by axe, which the debugger puts there: the policy forbids it."""
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Runtime.evaluate", {"expression": AXE})

    async def examine() -> list[str]:
        found: list[str] = await page.evaluate(EXAMINE, RULES)
        return found

    return examine


async def examine(page: Page) -> None:
    """Assert that a page is sound on a telephone, a desk and a wall, however its reader sees it."""
    violations = await examiner(page)
    for width in (1920, 1280, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(SIDEWAYS) == 0
        await page.evaluate(OPENED)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(SIDEWAYS) == 0
        await page.evaluate(CLOSED)
        for scheme in SCHEMES if width < 1920 else ():  # wider is the same with more ground
            await page.emulate_media(color_scheme=scheme)
            assert await violations() == []
    for scheme in SCHEMES:
        for seen in ({"contrast": "more"}, {"forced_colors": "active"}):
            await page.emulate_media(color_scheme=scheme, **seen)  # type: ignore[arg-type]
            assert await violations() == []
            await page.emulate_media(contrast="null", forced_colors="null")
