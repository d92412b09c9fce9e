"""Pages in a real browser: what axe finds, what moves, what a keyboard and no script can do."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from bus.portal import Portal
from bus.portal.page import Page
from bus.portal.pages import PAGES
from bus.portal.sums import Sum
from bus.settings import load
from bus.telemetry import Telemetry
from bus.watch.expected import Expected
from tests.portal.browsing import SETTLED, SIDEWAYS, Site, examine
from tests.portal.city import ADDRESSES, READINGS, survey, topic, town

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the portal keeps its sums."""
    return tmp_path_factory.mktemp("portal")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(browser: Browser, folder: Path) -> AsyncIterator[Site]:
    """A portal on a small town, which has counted for two days."""
    flags = {"data": folder, "portal.listen": "127.0.0.1:0"}
    watch, telemetry = town(), Telemetry()
    telemetry.storage_size.set(41e6)
    portal = Portal(
        load(flags, environ={}, directory=folder),
        telemetry,
        watch,
        None,
        roles=("broker", "portal"),
    )
    await portal.start()
    now = int(time.time() // 60)
    counted = {minute: Sum(60, 1500 + minute % 60, 1400) for minute in range(now - 2880, now)}
    portal._sums.add(counted)
    yield Site(portal, watch, browser)
    await portal.stop()


@pytest.fixture(autouse=True)
def fresh_town(site: Site) -> None:
    """Begin with the same town, with something of each kind wrong."""
    again = town()
    site.watch.latest, site.watch.previous = again.latest, again.previous
    site.watch.history = again.history
    site.watch.silence = 40.0
    site.watch.expected = {ADDRESSES: Expected(interval=30.0, since=0.0)}


@pytest.mark.parametrize("locale", ["de", "en"])
@pytest.mark.parametrize("shown", PAGES, ids=lambda page: page.name)
async def test_axe_finds_nothing(site: Site, locale: str, shown: Page) -> None:
    """Nothing has to be moved sideways, either."""
    async with site.reader(locale) as page:
        await page.goto(shown.path)
        if shown.view is not None:  # it follows the bus
            await page.locator(SETTLED).wait_for()
        assert await page.evaluate("document.documentElement.lang") == locale
        await examine(page)


async def test_the_chart_s_table_fits_a_telephone(site: Site) -> None:
    """Cells without a figure say so to who is read the page, in columns out of sight, too."""
    async with site.reader() as page:
        await page.set_viewport_size({"width": 320, "height": 800})
        await page.goto("/?span=7d")
        await page.get_by_text("The chart as a table").click()
        await expect(page.locator("#chart-data .unseen").last).to_have_text("not counted")
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
        assert await page.evaluate(SIDEWAYS) == 0


async def test_an_open_page_follows_the_bus_and_keeps_what_its_reader_does(site: Site) -> None:
    async with site.reader() as page:
        await page.goto("/")
        await page.locator(SETTLED).wait_for()
        await page.get_by_text("The chart as a table").click()
        link = page.get_by_role("link", name="24 hours")
        await link.focus()
        site.watch.see(survey([topic(READINGS)], dead={"dead.x.y": 77}, at=time.time()))
        await expect(page.get_by_text("77 events were set aside and wait.")).to_be_visible()
        await expect(page.locator("#chart-data")).to_be_visible()
        await expect(link).to_be_focused()


async def test_a_reader_can_hold_a_page_still(site: Site) -> None:
    async with site.reader("de") as page:
        await page.goto("/topics")
        control = page.locator(SETTLED)
        await control.wait_for()
        await page.get_by_role("button", name="Anhalten").click()
        await expect(control.get_by_role("status")).to_have_text("Angehalten")
        messages = page.locator("body[data-told]")
        await page.evaluate(
            """document.getElementById("live").addEventListener(
                "htmx:sse:before:message", () => { document.body.dataset.told = "yes"; })"""
        )
        site.watch.see(survey([topic("brand.new.v1")], at=time.time()))
        await messages.wait_for()
        await expect(page.get_by_text("brand.new.v1")).to_have_count(0)
        await page.get_by_role("button", name="Fortsetzen").click()
        site.watch.see(survey([topic("brand.newer.v1")], at=time.time()))
        await expect(page.get_by_text("brand.newer.v1")).to_be_visible()


async def test_a_reader_chooses_the_language_and_keeps_it(site: Site) -> None:
    async with site.reader("de") as page:
        await page.goto("/subscribers?find=count")
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", name="Subscribers", level=1)).to_be_visible()
        await expect(page.get_by_label("Subscriber or topic contains")).to_have_value("count")
        await page.get_by_role("link", name="Topics").click()
        await expect(page.get_by_role("heading", name="Topics", level=1)).to_be_visible()


async def test_a_list_is_filtered_and_sorted(site: Site) -> None:
    names = [f"town-{number:03}.event.v1" for number in range(120)]
    topics = [topic(name, number) for number, name in enumerate(names)]
    site.watch.see(survey(topics, at=time.time()))
    async with site.reader() as page:
        await page.goto("/topics")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await page.get_by_role("link", name="Next page").click()
        await expect(rows.first).to_contain_text("town-050")
        await page.get_by_role("link", name="Stored events").click()
        await expect(rows.first).to_contain_text("town-119")
        await expect(page.locator("th[aria-sort=descending]")).to_have_text("Stored events")
        await page.get_by_label("Name contains").fill("town-01")
        await page.get_by_label("Name contains").press("Enter")
        await expect(rows).to_have_count(10)
        await expect(rows.first).to_contain_text("town-019")


async def test_a_keyboard_is_enough(site: Site) -> None:
    async with site.reader() as page:
        await page.goto("/")
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#chart-data")).to_be_visible()


async def test_the_way_to_the_content_is_in_view_at_once(site: Site) -> None:
    async with site.reader() as page:
        await page.goto("/")
        skip = page.get_by_role("link", name="Skip to the content")
        place = "(link) => { link.focus(); return link.getBoundingClientRect().top; }"
        assert await skip.evaluate(place) >= 0


async def test_pages_can_be_read_without_scripts(site: Site) -> None:
    async with site.reader("de", scripts=False) as page:
        await page.goto("/")
        await expect(page.get_by_text("Ein Abonnent ist im Verzug")).to_be_visible()
        await page.get_by_text("Das Diagramm als Tabelle").click()
        await expect(page.locator("#chart-data tbody tr")).to_have_count(60)
        await page.get_by_role("link", name="Themen").first.click()
        await page.get_by_label("Name enthält").fill("sensor")
        await page.get_by_role("button", name="Anzeigen").click()
        await expect(page.locator("tbody tr")).to_have_count(1)


async def test_the_chart_speaks_the_reader_s_language(site: Site) -> None:
    async with site.reader("de") as page:
        await page.goto("/?span=7d")
        labels = page.locator(".u-legend .u-label")
        await expect(labels.first).to_have_text("Zeit")
        await expect(labels.nth(1)).to_have_text("Eingehend")
        plot = page.locator(".u-over")
        await plot.hover()
        shown = page.locator(".u-legend .u-value")
        await expect(shown.first).to_contain_text(", ")
        chart = page.locator(".chart")
        await expect(chart).to_have_attribute("aria-hidden", "true")
        lines = page.locator(".u-legend .u-marker:visible")
        for line, style in enumerate(("solid", "solid", "dashed", "dashed")):
            await expect(lines.nth(line)).to_have_css("border-top-style", style)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns"])
@pytest.mark.parametrize("span", ["1h", "7d"])
async def test_the_chart_goes_by_the_node_s_clock(site: Site, zone: str, span: str) -> None:
    """As the table beside it does, wherever the reader is."""
    async with site.reader("en", zone=zone) as page:
        await page.goto(f"/?span={span}")
        plot = page.locator(".u-over")
        box = await plot.bounding_box()
        assert box is not None
        await plot.hover(position={"x": box["width"] - 1, "y": 50})
        time = await page.locator(".u-legend .u-value").first.text_content()
        last = await page.locator("#chart-data tbody time").last.text_content()
        assert last is not None
        assert time is not None
        assert time.endswith(last[-5:])


async def test_names_are_shown_and_not_run(site: Site) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202egnp.\x1b[2J"
    seen = survey([topic(hostile)], at=time.time())
    async with site.reader() as page:
        site.watch.see(seen)
        await page.goto("/topics")
        await page.locator(SETTLED).wait_for()
        site.watch.see(replace(seen, at=time.time(), topics={"x": topic(f"{hostile}!")}))
        cell = page.get_by_role("rowheader")
        await expect(cell).to_have_text("<img src=x onerror=alert(1)>\\u202egnp.␛[2J!")


async def test_a_page_says_that_its_connection_is_lost(browser: Browser, tmp_path: Path) -> None:
    settings: Any = load(
        {"data": tmp_path, "portal.listen": "127.0.0.1:0"}, environ={}, directory=tmp_path
    )
    portal = Portal(settings, Telemetry(), town(), None)
    await portal.start()
    async with Site(portal, town(), browser).reader(complaints=True) as page:
        await page.goto("/")
        status = page.locator(SETTLED).get_by_role("status")
        await expect(status).to_have_text("Live")
        await portal.stop()
        await expect(status).to_have_text(
            "No connection. What is shown may be old.", timeout=20_000
        )
