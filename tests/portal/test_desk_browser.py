"""Deciding about letters as an operator does it, with a browser, and what axe finds there."""

import pytest
from playwright.async_api import Browser, expect

from bus.letters import Shelf
from bus.portal import Portal
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from tests.engine import on_embedded
from tests.portal.agreed import agreed, moved
from tests.portal.browsing import examine
from tests.portal.city import Watch
from tests.portal.test_desk import DEAD, TOPIC, left, shelf

__all__ = ["shelf"]

pytestmark = pytest.mark.slow


@on_embedded
async def test_letters_are_decided_about_with_a_browser(
    settings: Settings,
    telemetry: Telemetry,
    shelf: Shelf,
    bare: KafkaSettings,
    own_browser: Browser,
) -> None:
    known = agreed(moved(TOPIC, sensitive=False))
    portal = Portal(settings.model_copy(update={"kafka": bare}), telemetry, Watch(), known)
    await portal.start()
    context = await own_browser.new_context(base_url=portal.url, locale="de")
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
