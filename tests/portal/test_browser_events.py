"""Events, contracts and the map in a real browser, on a real broker."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.kafka import Fetched, Producer, Record
from bus.portal import Portal
from bus.portal.masking import MASK
from bus.portal.tailing import Line
from bus.portal.tailing.decoding import NO_REGISTRY, _fault
from bus.settings import Address, BrokerSettings, KafkaSettings, load
from bus.telemetry import Telemetry
from bus.views.traffic import TOPIC as TRAFFIC
from bus.views.traffic import load_segments
from tests.portal.agreed import ARS, TOPIC, agreed, moved
from tests.portal.browsing import SETTLED, Site, examine
from tests.portal.city import Watch, subscription, survey, topic
from tests.portal.test_tail import HOSTILE, event
from tests.views.test_traffic_reading import key, value

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

EVENTS = f"/tail/topic?topic={TOPIC}"
FOLLOWED = "#tail-control[data-state=on]"


class Town(Site):
    """A site on a broker, to which a test publishes."""

    def __init__(self, portal: Portal, watch: Watch, browser: Browser, producer: Producer) -> None:
        super().__init__(portal, watch, browser)
        self._producer = producer

    async def publish(self, records: list[Record]) -> None:
        """Write records."""
        await self._producer.append(TOPIC, 0, records)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def town(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A portal on a broker with events and a view of traffic."""
    folder: Path = tmp_path_factory.mktemp("events")
    listen = Address(host="127.0.0.1", port=0)
    settings = BrokerSettings(listen=listen, retention_ms=-1)
    async with Broker(settings, folder / "broker", Telemetry()) as broker:
        kafka = KafkaSettings(bootstrap=str(broker.address))
        async with Admin(kafka) as admin:
            for name in (TOPIC, TRAFFIC):
                await admin.ensure_topic(TopicSpec(name=name, partitions=1, configs={}))
        flags = {"data": folder, "portal.listen": "127.0.0.1:0"}
        found = load(flags, environ={}, directory=folder).model_copy(update={"kafka": kafka})
        watch = Watch()
        read = [subscription("office", TOPIC)]
        watch.see(survey([topic(TOPIC), topic(TRAFFIC)], read, at=time.time()))
        portal = Portal(found, Telemetry(), watch, agreed(moved()), roles=("portal",))
        await portal.start()
        async with Producer(kafka) as producer:
            codes = enumerate(load_segments()[:40])
            loads = [Record(key(segment.id), value(number % 5)) for number, segment in codes]
            await producer.append(TRAFFIC, 0, loads)
            made = Town(portal, watch, browser, producer)
            await made.publish([event("1"), event(HOSTILE), Record(b"k", b"\xff", ())])
            yield made
        await portal.stop()


async def counts(page: Page) -> dict[str, int]:
    found: dict[str, int] = await page.evaluate(
        """Object.fromEntries([...document.querySelectorAll("[data-count]")].map(
            (one) => [one.dataset.count, Number(one.dataset.value)]))"""
    )
    return found


async def counted(page: Page, total: int) -> dict[str, int]:
    """Wait until so many events are accounted for, and return how."""
    await page.locator(f'#tally[data-total="{total}"]').wait_for(timeout=30_000)
    return await counts(page)


@pytest.mark.parametrize(
    ("path", "ready", "locale"),
    [
        pytest.param(EVENTS, FOLLOWED, "de", id="events"),
        pytest.param(EVENTS, FOLLOWED, "en", id="events in English"),
        pytest.param(f"{EVENTS}&key=nobody-has-it", FOLLOWED, "de", id="no events"),
        pytest.param(f"/contract?topic={TOPIC}", SETTLED, "de", id="contract"),
        pytest.param("/contracts", SETTLED, "de", id="contracts"),
        pytest.param("/traffic", SETTLED, "de", id="traffic"),
    ],
)
async def test_axe_finds_nothing(town: Town, locale: str, path: str, ready: str) -> None:
    async with town.reader(locale) as page:
        await page.goto(path)
        await page.locator(ready).wait_for()
        if path == "/traffic":
            await page.locator(".map path.load-3").first.wait_for()
        await examine(page)


async def test_a_burst_is_accounted_for_across_a_pause(town: Town) -> None:
    total = 10_000
    async with town.reader() as page:
        await page.goto(EVENTS)
        await page.locator(FOLLOWED).wait_for()
        before = sum((await counts(page)).values())
        for start in range(0, total // 2, 1000):
            await town.publish([event(str(number)) for number in range(start, start + 1000)])
        await counted(page, before + total // 2)
        await page.get_by_role("button", name="Pause").click()
        await expect(page.locator("#tail-control").get_by_role("status")).to_have_text("Paused")
        for start in range(total // 2, total, 1000):
            await town.publish([event(str(number)) for number in range(start, start + 1000)])
        assert sum((await counts(page)).values()) == before + total // 2
        await page.get_by_role("button", name="Go on").click()
        found = await counted(page, before + total)
        assert sum(found.values()) == before + total
        assert found["skipped"] > 0
        await expect(page.locator("#tail tbody tr")).to_have_count(200)


@pytest.mark.parametrize(
    ("path", "control"), [(EVENTS, "#tail-control"), ("/topics", "#live-control")]
)
async def test_who_finds_no_room_sees_what_is_new_all_the_same(
    town: Town, monkeypatch: pytest.MonkeyPatch, path: str, control: str
) -> None:
    monkeypatch.setattr(town.portal._streams, "_most", lambda: 1)
    monkeypatch.setattr("bus.portal.streams.COME_BACK", (100, 200))
    async with town.reader() as first, town.reader() as late:
        await first.goto("/")
        await first.locator(SETTLED).wait_for()
        await late.goto(path)
        status = late.locator(control).get_by_role("status")
        await expect(status).to_have_text("Many are looking: what is new comes every few seconds.")
        before = await late.locator("#tally").get_attribute("data-total") if path == EVENTS else ""
        await town.publish([event("late")])
        town.watch.see(survey([topic(TOPIC), topic(TRAFFIC), topic("late.v1")], at=time.time()))
        if before:
            await counted(late, int(before) + 1)
        else:
            await expect(late.get_by_text("late.v1")).to_be_visible()
        await expect(status).to_have_text("Many are looking: what is new comes every few seconds.")
        await first.close()
        await expect(status).to_have_text("Live")


async def test_who_pauses_while_the_stream_is_away_comes_back_once(town: Town) -> None:
    async with town.reader(complaints=True) as page:
        await page.clock.install()
        streams: list[str] = []
        page.on("request", lambda one: streams.append(one.url) if "/live/" in one.url else None)
        await page.route("**/live/tail/topic?*", lambda route: route.fulfill(status=503))
        await page.goto(EVENTS)
        status = page.locator("#tail-control").get_by_role("status")
        await expect(status).to_have_text("No connection. What is shown may be old.")
        await page.get_by_role("button", name="Pause").click()
        await page.unroute_all()
        await page.get_by_role("button", name="Go on").click()
        await page.locator(FOLLOWED).wait_for()
        opened = len(streams)
        await page.clock.fast_forward(10_000)
        before = sum((await counts(page)).values())
        await town.publish([event("once")])
        await counted(page, before + 1)
        assert len(streams) == opened


async def test_events_are_shown_and_not_run(town: Town) -> None:
    async with town.reader() as page:
        await page.goto(EVENTS)
        await page.locator(FOLLOWED).wait_for()
        await town.publish([event(HOSTILE), Record(b"k", b"\xff", ())])
        rows = page.locator("#tail tbody tr")
        await expect(rows.nth(0)).to_contain_text("its headers are not those of an event")
        await expect(rows.nth(1)).to_contain_text("<script>alert(1)</script>␛[31m\\u202e")
        await expect(rows.nth(1)).to_contain_text(MASK)


async def test_what_was_not_decoded_is_shown_once_the_registry_is_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town.reader() as page:
        await page.goto(EVENTS)
        await page.locator(FOLLOWED).wait_for()
        [opened] = town.portal._feeds._feeds.values()
        decoding = (await opened)._decoding

        async def away(record: Fetched) -> Line:
            return _fault(record, NO_REGISTRY)

        with monkeypatch.context() as patch:
            patch.setattr(decoding, "line", away)
            await town.publish([event("absent")])
            first = page.locator("#tail tbody tr").first
            await expect(first).to_contain_text("the registry cannot be reached")
        await expect(first).to_contain_text(f"{ARS}:absent")
        await expect(first).not_to_contain_text("Not decoded")


async def test_events_are_filtered(town: Town) -> None:
    async with town.reader("de") as page:
        await page.goto(EVENTS)
        await page.get_by_label("Schlüssel enthält").fill("needle")
        await page.get_by_role("button", name="Anzeigen").click()
        await page.locator(FOLLOWED).wait_for()
        rows = page.locator("#tail tbody tr")
        await expect(rows).to_have_count(0)
        await town.publish([event("hay"), event("needle")])
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text("needle")


async def test_masks_come_off_for_a_reason(town: Town) -> None:
    await town.publish([event("1")])
    async with town.reader() as page:
        await page.goto(EVENTS)
        await expect(page.get_by_text("Lovelace")).to_have_count(0)
        await page.get_by_text("Show sensitive fields").click()
        await page.get_by_label("Reason").fill("complaint 4711")
        await page.get_by_role("button", name="Show them").click()
        await expect(page.get_by_text("Lovelace").first).to_be_visible()
        await expect(page.get_by_text("Sensitive fields are shown")).to_be_visible()


async def test_events_can_be_read_without_scripts(town: Town) -> None:
    async with town.reader(scripts=False) as page:
        await page.goto(EVENTS)
        await expect(page.locator("#tail tbody tr").first).to_be_visible()
        await page.goto("/traffic")
        await expect(page.locator(".map path").first).to_be_visible()
