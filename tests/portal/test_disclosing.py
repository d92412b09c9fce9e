"""The page of disclosures where nobody is asked who they are: masked until somebody says why."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import date

import httpx
import pytest
from playwright.async_api import Browser, expect

from bus.admin import Admin
from bus.disclosures import records, spec
from bus.disclosures.digest import entry_of, totals
from bus.disclosures.question import Found, Mark, Question
from bus.disclosures.store import FILE, Store
from bus.errors import InvalidInput
from bus.kafka import Transactor
from bus.portal import Portal
from bus.portal.masking import MASK
from bus.portal.pages.disclosures import Asked, Sight, day, row, sight_of
from bus.portal.viewer import Role, Viewer
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from tests.disclosures.told import NOON, PERLESREUT, RINGELAI, TAX, WATER, told
from tests.portal.browsing import examine
from tests.portal.city import Watch
from tests.portal.forms import proof
from tests.waiting import until

LIST, DIGESTS = "/data/disclosures", "/data/digests"
HOSTILE = "<img src=x onerror=alert(1)>"
TOLD = [
    *(told(n) for n in range(1, 60)),
    told(60, subject=HOSTILE, purposes=("tax", "unheard-of")),
    told(61, recipient=WATER, purposes=("water",)),
    told(62, owner=PERLESREUT, fields=(), offset=None),
]
ALL, MASKED = Sight(member=None, clear=True), Sight(member=None, clear=False)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A portal whose store has disclosures, and whose engine is away."""
    with closing(Store(settings.data)) as store:
        store.begin("topic")
        store.add(0, [(0, TOLD)], 1)
    away = KafkaSettings(bootstrap="127.0.0.1:1")
    return settings.model_copy(update={"kafka": away})


@pytest.mark.parametrize(
    ("viewer", "sight"),
    [
        (Viewer(name="", role=Role.NOBODY), None),
        (Viewer(name="v", role=Role.VIEWER), None),
        (Viewer(name="o", role=Role.OPERATOR), MASKED),
        (Viewer(name="v", role=Role.VIEWER, officer_of=TAX), Sight(member=TAX, clear=True)),
        # Who is an officer sees what concerns its member, whatever else it may do.
        (Viewer(name="a", role=Role.ADMINISTRATOR, officer_of=TAX), Sight(member=TAX, clear=True)),
    ],
)
def test_who_sees_what(viewer: Viewer, sight: Sight | None) -> None:
    assert sight_of(viewer, unmasked=False) == sight


@pytest.mark.parametrize(
    ("sight", "subject", "event"),
    [
        (ALL, "person-1", told().event),
        (MASKED, MASK, MASK),
        (Sight(member=RINGELAI, clear=True), "person-1", told().event),
        (Sight(member=TAX, clear=True), None, told().event),
    ],
)
def test_what_is_seen_of_a_disclosure(sight: Sight, subject: str | None, event: str) -> None:
    seen = row(Found(Mark(NOON, 0, 0, 0), told()), sight)
    assert (seen.subject, seen.event) == (subject, event)
    assert (seen.owner, seen.recipient, seen.ended) == (RINGELAI, TAX, False)


@pytest.mark.parametrize(
    ("query", "sight", "question"),
    [
        ({}, ALL, Question()),
        ({"owner": " a ", "x": "y"}, ALL, Question(owner="a")),
        ({"subject": "p", "event": "e"}, ALL, Question(subject="p", event="e")),
        ({"subject": "p", "event": "e", "topic": "t"}, MASKED, Question(topic="t")),
        ({"purpose": "tax"}, Sight(member=TAX, clear=True), Question(member=TAX, purpose="tax")),
        (
            {"since": "1970-01-02", "until": "1970-01-02"},
            ALL,
            Question(since_ms=86_400_000, until_ms=2 * 86_400_000),
        ),
        ({"until": "9999-12-31"}, ALL, Question(until_ms=253_402_300_800_000)),
    ],
)
def test_what_is_asked(query: dict[str, str], sight: Sight, question: Question) -> None:
    assert Asked.of(query).question(sight) == question


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-07-01T00:00:00Z"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no day"):
        day(text)


def rows(page: str) -> str:
    return page.split("<tbody")[1].split("</tbody", maxsplit=1)[0]


async def test_it_is_masked_until_somebody_says_why(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="stadtbus.audit"):
        page = await client.get("/disclosures", params={"subject": "person-1"})
        assert page.status_code == 200
        assert page.text.count('role="rowheader"') == 50, "the filter is left out of account"
        assert "person-" not in rows(page.text)
        assert told(30).event not in page.text
        form = {
            "topic": "_stadtbus.disclosures",
            "reason": "complaint 4711",
            "then": "/disclosures?subject=person-1",
        }
        back = await client.post("/unmask", data=form | await proof(client))
        assert (back.status_code, back.headers["location"]) == (303, form["then"])
        seen = (await client.get(form["then"])).text
    assert seen.count('role="rowheader"') == 1
    assert "person-1" in rows(seen)
    assert told(1).event in seen
    audit = "\n".join(caplog.messages)
    assert 'masks=on member="" by="subject"' in audit
    assert 'reason="complaint 4711"' in audit
    assert 'masks=off member="" by="subject"' in audit
    assert "person-1" not in audit


async def test_what_strangers_wrote_is_text(client: httpx.AsyncClient) -> None:
    form = {"topic": "_stadtbus.disclosures", "reason": "a test", "then": "/"}
    await client.post("/unmask", data=form | await proof(client))
    text = (await client.get("/disclosures")).text
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert "taxes and dues, unheard-of" in text
    assert "nothing: what was given before was taken back" in text
    assert rows(text).count("taxes and dues") == 49


async def test_pages_follow_each_other(client: httpx.AsyncClient) -> None:
    text = (await client.get("/disclosures", params={"recipient": TAX})).text
    assert text.count('role="rowheader"') == 50
    following = text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    older = (await client.get(following)).text
    assert older.count('role="rowheader"') == len(TOLD) - 1 - 50
    assert 'rel="next"' not in older
    assert WATER not in older


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "gestern"}, "gestern ist kein Tag"),
        ({"before": "x"}, "das ist keine Stelle unter den Übermittlungen"),
    ],
)
async def test_what_cannot_be_asked_is_said(
    client: httpx.AsyncClient, query: dict[str, str], said: str
) -> None:
    page = await client.get("/disclosures", params=query, headers={"accept-language": "de"})
    assert page.status_code == 400
    assert said in page.text
    program = await client.get(LIST, params=query)
    assert program.status_code == 400
    assert program.json().keys() == {"message", "where", "remedy"}


async def test_programs_get_the_same(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    masked = (await client.get(LIST)).json()
    assert masked["masked"] is True
    assert masked["following"] is None
    assert len(masked["disclosures"]) == len(TOLD)
    assert "person-" not in json.dumps(masked)
    assert (await client.get(LIST, params={"reason": "no"})).json()["masked"] is True
    with caplog.at_level(logging.INFO, logger="stadtbus.audit"):
        clear = (await client.get(LIST, params={"reason": "complaint 4711"})).json()
    assert 'reason="complaint 4711"' in caplog.text
    assert clear["disclosures"][-1] == {
        "at": "2026-07-01T10:00:00.001000Z",
        "owner": RINGELAI,
        "recipient": TAX,
        "topic": told().topic,
        "purposes": ["tax"],
        "fields": ["cause", "new_address"],
        "grants": [told().grants[0].hex()],
        "event": told().event,
        "subject": "person-1",
    }
    assert (await client.get(LIST)).json()["masked"] is True, "it was for once"


async def test_digests_are_those_of_what_was_told(client: httpx.AsyncClient) -> None:
    expected = totals(map(entry_of, TOLD))
    answer = (await client.get(DIGESTS, params={"day": "2026-07-01"})).json()["digests"]
    assert [one["digest"] for one in answer] == [one.digest.hex() for one in expected]
    assert [one["deliveries"] for one in answer] == [61, 1]
    assert expected[0].line.day == date(2026, 7, 1)
    assert (await client.get(DIGESTS, params={"day": "2026-07-02"})).json() == {"digests": []}
    assert (await client.get(DIGESTS)).status_code == 400


async def test_without_the_store_only_its_page_is_missing(
    settings: Settings, telemetry: Telemetry
) -> None:
    for left in settings.data.glob(f"{FILE}*"):
        left.unlink()
    (settings.data / FILE).write_bytes(b"no database, " * 100)
    portal = Portal(settings, telemetry, Watch(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, headers={"accept-language": "de"}) as reader:
        page = await reader.get("/disclosures")
        assert (page.status_code, (await reader.get("/node")).status_code) == (503, 200)
        assert "Übermittlungen können nicht gelesen oder aufgehoben werden" in page.text
        assert (await reader.get(LIST)).status_code == 503
    await portal.stop()


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 200)])
async def test_a_role_is_needed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, role: Role, status: int
) -> None:
    monkeypatch.setattr("bus.portal.guard.LOCAL", Viewer(name="ada", role=role))
    for path in ("/disclosures", LIST, f"{DIGESTS}?day=2026-07-01"):
        assert (await client.get(path)).status_code == status
    answer = await client.get(LIST, params={"reason": "complaint 4711"})
    assert "person-1" not in answer.text, "an operator takes no masks off"


@pytest.mark.slow
async def test_it_is_read_with_a_browser(portal: Portal, own_browser: Browser) -> None:
    context = await own_browser.new_context(base_url=portal.url, locale="de")
    page = await context.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto("/")
    await page.get_by_role("link", name="Übermittlungen").click()
    await expect(page.get_by_text("Wer was über wen erfahren hat.")).to_be_visible()
    await examine(page)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.get_by_text("Empfindliche Felder zeigen").click()
    await page.get_by_label("Grund").fill("Beschwerde 4711")
    await page.get_by_role("button", name="Für").click()
    await page.get_by_label("Betroffene Person, wie").fill(HOSTILE)
    await page.get_by_role("button", name="Anzeigen", exact=True).click()
    await expect(page.get_by_role("cell", name=HOSTILE)).to_be_visible()
    await page.get_by_text("Ereignis und Freigaben").first.click()
    await expect(page.get_by_text(told(60).event)).to_be_visible()
    await examine(page)
    assert said == [], "nothing of what strangers wrote is run"
    await context.close()


@pytest.fixture
async def following(
    settings: Settings, telemetry: Telemetry, fresh: KafkaSettings
) -> AsyncIterator[httpx.AsyncClient]:
    """A page whose node has an engine."""
    portal = Portal(settings.model_copy(update={"kafka": fresh}), telemetry, Watch(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as reader:
        yield reader
    await portal.stop()


async def test_it_follows_the_topic(following: httpx.AsyncClient, fresh: KafkaSettings) -> None:
    async with Admin(fresh) as admin:
        await admin.ensure_topic(spec())
    async with Transactor(fresh, "router") as router:
        await router.write(records([told(1000), told(1001)]))

    async def there() -> bool:
        return len((await following.get(LIST)).json()["disclosures"]) == 2

    await until(there)  # what the store had was of another topic

    async def complete() -> bool:
        page = await following.get("/disclosures", headers={"accept-language": "en"})
        return "Complete as of" in page.text

    await until(complete)
