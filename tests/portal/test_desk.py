"""Deciding about dead letters on the page: on a real engine, with forms as browsers send them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest

from bus.kafka import Fetched, Producer
from bus.letters import Filter, Shelf, dead_topic, letters, redrive_topic, waiting
from bus.portal import Portal, desk
from bus.settings import Address, KafkaSettings, Settings
from bus.subscriber.dead import DeadLetters
from bus.telemetry import Telemetry
from tests.portal.agreed import agreed, moved
from tests.portal.city import Watch
from tests.portal.forms import proof

pytestmark = pytest.mark.slow

MEMBER, TOPIC = "de.agency.statistik", "sensor.reading.v1"
GROUP = f"{MEMBER}.counts"
DEAD = dead_topic(MEMBER, TOPIC)
FORM = {"content-type": "application/x-www-form-urlencoded"}
HOSTILE = [
    ("<img src=x onerror=alert(1)>", b"\x1b[31m<script>alert(2)</script>\xff"),
    ("b", b"y" * 90_000),
]
VALUE = b"<html><script>alert(3)</script>"


@pytest.fixture
async def shelf(bare: KafkaSettings) -> AsyncIterator[Shelf]:
    """Six letters in two partitions, one of them without its value."""
    dead = DeadLetters(bare, MEMBER, GROUP)
    await dead.prepare({TOPIC: 2})
    await dead.prepare_redriving({TOPIC: 2})
    await dead.stop()
    now = datetime.now(UTC)
    async with Producer(bare) as producer:
        for number in range(6):
            event = Fetched(TOPIC, number % 2, number, 0, b"<b>k", VALUE, HOSTILE)
            reason = "bad-data" if number < 4 else "bad-event"
            sizes = list(letters(event, reason, "<i>why", GROUP, now))
            await producer.append(DEAD, number % 2, [sizes[1 if number == 5 else 0]])
    async with Shelf(bare) as shelf:
        yield shelf


@pytest.fixture
async def operator(
    settings: Settings, telemetry: Telemetry, shelf: Shelf, bare: KafkaSettings
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on the portal of that engine."""
    async with looking(settings, telemetry, bare, sensitive=False) as browser:
        yield browser


@asynccontextmanager
async def looking(
    settings: Settings, telemetry: Telemetry, bare: KafkaSettings, *, sensitive: bool
) -> AsyncIterator[httpx.AsyncClient]:
    known = agreed(moved(TOPIC, sensitive=sensitive))
    portal = Portal(settings.model_copy(update={"kafka": bare}), telemetry, Watch(), known)
    await portal.start()
    headers = {"accept-language": "en"}
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=30) as browser:
        yield browser
    await portal.stop()


async def left(shelf: Shelf) -> list[tuple[int, int]]:
    return [(one.partition, one.offset) for one in await waiting(shelf, DEAD, Filter())]


async def sent(browser: httpx.AsyncClient, step: str, *pairs: tuple[str, str]) -> httpx.Response:
    form = urlencode([*pairs, *(await proof(browser)).items()])
    return await browser.post(f"/letters/{step}/{DEAD}", content=form, headers=FORM)


async def test_letters_are_seen_as_text_and_downloaded_as_bytes(
    operator: httpx.AsyncClient,
) -> None:
    page = await operator.get(f"/letters/of/{DEAD}")
    assert page.status_code == 200
    assert page.text.count('name="letter"') == 6
    assert not re.search(r"<(script>alert|img|b>|i>)", page.text)
    assert "\x1b" not in page.text
    assert len(page.text) < 100_000
    times = re.findall(r'<time datetime="(\S+)" title="\1">([^<]+)</time>', page.text)
    assert times
    assert all(iso.startswith("20") and "T" not in shown for iso, shown in times)
    file = await operator.get(f"/letters/of/{DEAD}/1/0")
    assert file.content == VALUE
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"] == 'attachment; filename="letter-1-0.bin"'
    assert file.headers["x-content-type-options"] == "nosniff"


async def test_what_cannot_be_done_is_said_in_the_reader_s_language(
    operator: httpx.AsyncClient,
) -> None:
    operator.headers["accept-language"] = "de"
    refused = await sent(operator, "preview", ("action", "redriven"))
    assert refused.status_code == 400
    assert "kein Ereignis wurde ausgewählt" in refused.text
    assert "no letter" not in refused.text
    stuck = await sent(operator, "preview", ("action", "redriven"), ("which", "all"))
    assert "wurde weggelassen, weil er zu groß ist" in stuck.text
    assert "left out" not in stuck.text


async def test_what_is_sensitive_is_masked_until_somebody_says_why(
    settings: Settings, telemetry: Telemetry, shelf: Shelf, bare: KafkaSettings
) -> None:
    async with looking(settings, telemetry, bare, sensitive=True) as operator:
        masked = (await operator.get(f"/letters/of/{DEAD}")).text
        assert "yyy" not in masked
        assert "&lt;b&gt;k" not in masked
        assert "why" not in masked.split("<tbody")[1].split("</tbody")[0]
        assert "Original bytes" not in masked
        refused = await operator.get(f"/letters/of/{DEAD}/1/0")
        assert (refused.status_code, VALUE in refused.content) == (403, False)
        form = {"topic": TOPIC, "reason": "complaint 4711", "then": f"/letters/of/{DEAD}"}
        back = await operator.post("/unmask", data=form | await proof(operator))
        assert (back.status_code, back.headers["location"]) == (303, form["then"])
        assert "yyy" in (await operator.get(form["then"])).text
        assert (await operator.get(f"/letters/of/{DEAD}/1/0")).content == VALUE


async def test_ticked_letters_are_previewed_and_re_driven(
    operator: httpx.AsyncClient, shelf: Shelf
) -> None:
    ticked = [("letter", "0:0"), ("letter", "1:1"), ("which", "some"), ("action", "redriven")]
    preview = await sent(operator, "preview", *ticked)
    assert preview.status_code == 200
    assert "2 events will go once more" in preview.text
    assert len(await left(shelf)) == 6, "nothing is done yet"
    done = await sent(operator, "decide", *ticked[:2], ("action", "redriven"), ("note", "fixed"))
    assert "2 events were sent once more" in done.text
    assert await left(shelf) == [(0, 1), (0, 2), (1, 0), (1, 2)]
    for partition in (0, 1):
        (came,) = await shelf.reader.read(redrive_topic(MEMBER, TOPIC), partition, 0)
        assert (came.value, list(came.headers)[:2]) == (VALUE, HOSTILE)
    again = await sent(operator, "decide", *ticked[:1], ("action", "redriven"))
    assert "1 letter was left alone" in again.text


async def test_all_of_a_filter_are_discarded_for_a_reason(
    operator: httpx.AsyncClient, shelf: Shelf
) -> None:
    wanted = [("which", "all"), ("reason", "bad-data"), ("action", "discarded")]
    preview = await sent(operator, "preview", *wanted)
    chosen = [
        ("letter", one) for one in re.findall(r'name="letter" value="(\d+:\d+)"', preview.text)
    ]
    assert len(chosen) == 4
    without = await sent(operator, "decide", *chosen, ("action", "discarded"), ("note", " "))
    assert without.status_code == 400
    done = await sent(operator, "decide", *chosen, ("action", "discarded"), ("note", "a <b>test"))
    assert "4 letters were discarded" in done.text
    assert await left(shelf) == [(0, 2), (1, 2)]
    assert {one.reason for one in shelf.decisions} == {"a <b>test"}


async def test_what_cannot_be_re_driven_is_said_and_stays(
    operator: httpx.AsyncClient, shelf: Shelf
) -> None:
    preview = await sent(operator, "preview", ("which", "all"), ("action", "redriven"))
    assert "1 letter cannot be re-driven and stays" in preview.text
    assert "5 events will go once more" in preview.text
    forced = await sent(operator, "decide", ("letter", "1:2"), ("action", "redriven"))
    assert (forced.status_code, "BUS-0305" in forced.text) == (409, True)


async def test_letters_are_looked_through_in_parts(
    operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "LOOKED_AT", 4)
    first = await operator.get(f"/letters/of/{DEAD}?reason=bad-event")
    assert first.text.count('name="letter"') == 1
    (following,) = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = await operator.get(following.replace("&amp;", "&"))
    assert second.text.count('name="letter"') == 1
    assert 'rel="next"' not in second.text


async def test_a_form_that_is_none_of_ours_is_refused(
    operator: httpx.AsyncClient, shelf: Shelf
) -> None:
    form = urlencode([("letter", "0:0"), ("action", "discarded"), ("note", "x")])
    for step in ("preview", "decide"):
        answer = await operator.post(f"/letters/{step}/{DEAD}", content=form, headers=FORM)
        assert answer.status_code == 400
    assert len(await left(shelf)) == 6


async def test_nobody_without_a_name_reads_or_decides_from_elsewhere(
    settings: Settings, telemetry: Telemetry, shelf: Shelf, bare: KafkaSettings
) -> None:
    page = settings.portal.model_copy(
        update={"listen": Address(host="0.0.0.0", port=0), "insecure": True}  # noqa: S104
    )
    open_to_all = settings.model_copy(update={"kafka": bare, "portal": page})
    portal = Portal(open_to_all, telemetry, Watch(), None)
    await portal.start()
    url = f"http://127.0.0.1:{portal.address.port}"
    async with httpx.AsyncClient(base_url=url) as stranger:
        assert (await stranger.get("/letters")).status_code == 200
        for path in (f"/letters/of/{DEAD}", f"/letters/of/{DEAD}/0/0"):
            assert (await stranger.get(path)).status_code == 403
        form = [("letter", "0:0"), ("action", "discarded"), ("note", "x")]
        assert (await sent(stranger, "decide", *form)).status_code == 403
    await portal.stop()
    assert len(await left(shelf)) == 6


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(f"/letters/of/{DEAD}/0/99", 404, id="no such letter"),
        pytest.param(f"/letters/of/{DEAD}/1/2", 404, id="no value"),
        pytest.param("/letters/of/sensor.reading.v1", 400, id="no dead letter topic"),
        pytest.param("/letters/of/dead.de.agency.none.x", 404, id="no such topic"),
        pytest.param(f"/letters/of/{DEAD}?from=x", 400, id="no place"),
    ],
)
async def test_what_is_not_there_is_said(
    operator: httpx.AsyncClient, path: str, status: int
) -> None:
    assert (await operator.get(path)).status_code == status


async def test_a_form_that_is_none_is_refused(operator: httpx.AsyncClient) -> None:
    answers = [
        await sent(operator, "decide", ("action", "burn"), ("letter", "0:0")),
        await sent(operator, "decide", ("action", "discarded"), ("note", "x" * 300_000)),
        await sent(operator, "preview", ("action", "discarded"), ("which", "some")),
    ]
    assert [answer.status_code for answer in answers] == [400, 413, 400]
