"""Members and grants as an operator meets them, with a browser, and what axe finds there."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Browser, Page, expect

from bus.portal import Portal
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from bus.trust.statements import read
from tests.engine import on_embedded
from tests.portal.browsing import Site, examine
from tests.portal.city import Watch
from tests.portal.granting import (
    AUTHORITY,
    OFFICE,
    RINGELAI,
    TOPIC,
    Journal,
    following,
    happen,
    town,
)

pytestmark = [pytest.mark.slow, on_embedded]


class Town(NamedTuple):
    """A town's journal, and a portal that follows it.

    Args:
        journal: the journal.
        portal: the portal.
        name: of a grant in force, by the digest of what asked for it.
        site: where a reader looks.
    """

    journal: Journal
    portal: Portal
    name: str
    site: Site


@pytest.fixture
async def place(
    settings: Settings, telemetry: Telemetry, bare: KafkaSettings, own_browser: Browser
) -> AsyncIterator[Town]:
    """A town with a grant in force, one asked for, and events that would flow."""
    journal = town()
    name = journal.grants()
    journal.asks(recipient=AUTHORITY)
    await happen(bare, [{"pseudonym": f"p{n}", "household": f"<b>{n}"} for n in range(3)])
    async with following(journal, settings, telemetry, bare) as portal:
        yield Town(journal, portal, name, Site(portal, Watch(), own_browser))


@pytest.mark.parametrize("locale", ["de", "en"])
async def test_every_page_is_sound(place: Town, locale: str) -> None:
    async with place.site.reader(locale) as page:
        for path in (
            "/members",
            f"/members/{RINGELAI}",
            f"/members/{RINGELAI}/register",
            "/grants",
            f"/grants/{place.name}",
            f"/grants/new?topic={TOPIC}",
            "/grants/hand-in",
        ):
            await page.goto(path)
            await expect(page.locator("h1")).to_be_visible()
            await examine(page)


async def test_a_list_can_be_read_and_narrowed_without_scripts(place: Town) -> None:
    async with place.site.reader(scripts=False) as page:
        await page.goto("/grants")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.get_by_label("State").select_option("requested")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody th a").click()
        await expect(page.get_by_text("gets data of")).to_be_visible()
        await page.get_by_role("link", name=f"Name of {RINGELAI}").first.click()
        await expect(page.get_by_role("heading", name="Who gets what")).to_be_visible()


async def test_a_grant_is_asked_for_signed_elsewhere_and_handed_in(
    place: Town, tmp_path: Path
) -> None:
    journal = place.journal
    async with place.site.reader("de", complaints=True) as page:
        await page.goto("/grants")
        await page.get_by_role("link", name="Freigabe anfragen").click()
        await page.get_by_label("Vertrag").select_option(TOPIC)
        await page.get_by_role("button", name="Felder wählen").click()
        await page.get_by_label("Empfänger").fill(OFFICE)
        await page.get_by_label("Eines Mitglieds").fill(RINGELAI)
        await page.get_by_label("cause").check()
        await page.get_by_label("Feld 1").select_option("cause")
        await page.get_by_label("Wert 1").fill("BIRTH")
        await page.get_by_label("Wofür").select_option("child-care")
        await page.get_by_label("Die Norm, die es erlaubt").fill("§ 34 Abs. 1 BMG")
        await page.get_by_label("Die Rechtsgrundlage in Worten").fill("Für die Kitaplanung.")
        await page.get_by_label("Bis, ohne diesen Tag").fill("2098-01-01")
        await page.get_by_role("button", name="Zum Unterschreiben vorbereiten").click()
        await expect(page.get_by_text('"cause" gleich "BIRTH" ist')).to_be_visible()
        await examine(page)
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Erklärung speichern").click()
        download = await downloading.value
        assert download.suggested_filename == "grant-asked.json"
        statement = read(json.loads((await download.path()).read_text("utf-8")))

        file = tmp_path / "grant-asked.json"
        forged = statement.signed(journal.key(RINGELAI))
        file.write_text(json.dumps(forged.body()), "utf-8")
        await handed_in(page, file)
        await expect(page.get_by_role("alert")).to_contain_text("Das wurde nicht angenommen")
        await examine(page)
        file.write_text(json.dumps(statement.signed(journal.key(OFFICE)).body()), "utf-8")
        await handed_in(page, file)
        await expect(page.get_by_role("status").first).to_contain_text("steht jetzt im Journal")
        await expect(page.get_by_text("angefragt").first).to_be_visible()

        await page.get_by_role("button", name="Freigeben …").click()
        await expect(page.get_by_text("stadtbus grant approve")).to_be_visible()
        assert journal.ledger.alarms == []


async def handed_in(page: Page, file: Path) -> None:
    await page.goto("/grants/hand-in")
    await page.get_by_label("Die unterschriebene Datei").set_input_files(file)
    await expect(page.get_by_label("Was in der unterschriebenen Datei steht")).not_to_be_empty()
    await page.get_by_role("button", name="Einreichen").click()


async def test_examples_are_shown_as_text(place: Town) -> None:
    async with place.site.reader() as page:
        await page.goto(f"/grants/{place.name}")
        await page.get_by_text("Show sensitive fields").click()
        await page.get_by_label("Reason, which is noted").fill("before I approve")
        await page.get_by_role("button", name="Show them for").click()
        await expect(page.get_by_text("<b>1")).to_be_visible()
        await examine(page)
