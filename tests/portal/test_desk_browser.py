"""Deciding about letters as an operator does it, with a browser, and what axe finds there."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from bus.letters import Shelf
from bus.portal import Portal
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from tests.conftest import refuse
from tests.engine import on_embedded
from tests.portal.agreed import agreed, moved
from tests.portal.city import Watch
from tests.portal.test_browser import examine
from tests.portal.test_desk import DEAD, TOPIC, left, shelf

__all__ = ["shelf"]

pytestmark = pytest.mark.slow


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """Chromium without a window; skips where it is missing."""
    found = shutil.which("chromium")
    if found is None:
        refuse("Chromium is missing: install Debian's package chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        await browser.close()


@on_embedded
async def test_letters_are_decided_about_with_a_browser(
    settings: Settings,
    telemetry: Telemetry,
    shelf: Shelf,
    bare: KafkaSettings,
    chromium: Browser,
) -> None:
    known = agreed(moved(TOPIC, sensitive=False))
    portal = Portal(settings.model_copy(update={"kafka": bare}), telemetry, Watch(), known)
    await portal.start()
    context = await chromium.new_context(base_url=portal.url, locale="de")
    page = await context.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(f"/letters/of/{DEAD}")
    await page.locator("summary").first.click()
    await examine(page)
    await page.get_by_role("checkbox").nth(0).check()
    await page.get_by_role("checkbox").nth(1).check()
    await page.get_by_role("button", name="Erneut zustellen …").click()
    await expect(page.get_by_text("2 Ereignisse gehen noch einmal")).to_be_visible()
    await examine(page)
    await page.get_by_role("button", name="Erneut zustellen", exact=True).click()
    await expect(page.get_by_text("2 Ereignisse wurden noch einmal zugestellt.")).to_be_visible()
    await examine(page)
    assert len(await left(shelf)) == 4
    await page.goto(f"/letters/of/{DEAD}?lang=en")
    await page.get_by_label("all that fit the filter").check()
    await page.get_by_role("button", name="Discard …").click()
    await page.get_by_label("Why").fill("a test")
    await page.get_by_role("button", name="Discard", exact=True).click()
    await expect(page.get_by_text("4 letters were discarded.")).to_be_visible()
    assert await left(shelf) == []
    async with page.expect_download() as downloading:
        await page.evaluate(
            "address => { const a = document.createElement('a'); a.href = address; a.click(); }",
            f"/letters/of/{DEAD}/0/0",
        )
    assert (await downloading.value).suggested_filename == "letter-0-0.bin"
    assert said == [], "nothing of what strangers wrote is run"
    await context.close()
    await portal.stop()
