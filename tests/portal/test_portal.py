"""The role over HTTP: headers, languages, hostile names, large buses, streams."""

import asyncio
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from bus.errors import InvalidSettings
from bus.portal import Portal
from bus.portal.guard import CONTENT_POLICY
from bus.portal.pages import PAGES
from bus.security import refuse_open_listeners
from bus.settings import Settings, load
from bus.telemetry import Telemetry
from bus.watch.expected import Expected
from tests.portal.city import Watch, subscription, survey, topic, town
from tests.waiting import until

PATHS = [page.path for page in PAGES]
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\"'&{{7*7}}"


class Read(HTMLParser):
    """What a browser would take a page for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.times: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [v for n, v in attrs if n in {"src", "href", "action"} and v]
        self.inline += [n for n, _ in attrs if n.startswith("on") or n == "style"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.inline.append(tag)
        if tag == "time":
            self.times.append(given)


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    read = Read(answer.text)
    assert read.inline == []
    assert all(re.match(r"/(?!/)|#", address) for address in read.addresses)
    linked = {address for address in read.addresses if address.startswith("/static/")}
    assert {(await client.get(address)).status_code for address in linked} == {200}


async def test_the_first_page_knows_what_the_watch_knows(
    client: httpx.AsyncClient, watch: Watch
) -> None:
    watch.silence = 60.0
    seen = survey([topic("quiet.feed.v1", newest=time.time() - 120.0)], at=time.time())
    watch.see(seen)
    watch.expected = {"quiet.feed.v1": Expected(interval=60.0, since=0.0)}
    page = (await client.get("/")).text
    assert "Events do not get through: for 1 min" in page
    assert "1 topic is silent: quiet.feed.v1, nothing for 2 min" in page
    assert "agreed interval: 1 minute" in (await client.get("/topics")).text


async def test_scripts_and_styles_are_fetched_once(client: httpx.AsyncClient) -> None:
    address = "/static/vendor/htmx.min.js"
    first = await client.get(address)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(address, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    missing = await client.get("/static/nothing.js")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")


async def test_settings_are_explained_in_the_reader_s_language(client: httpx.AsyncClient) -> None:
    for language, told in (("de", "was der Knoten aufbewahrt"), ("en", "all that the node keeps")):
        answer = await client.get("/node", headers={"accept-language": language})
        assert told in answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_is_there_before_anything_is_known(
    settings: Settings, telemetry: Telemetry, path: str
) -> None:
    portal = Portal(settings, telemetry, Watch(), None)
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url) as client:
        assert (await client.get(path)).status_code == 200
    await portal.stop()


async def test_requests_are_counted_by_their_route(
    client: httpx.AsyncClient, telemetry: Telemetry
) -> None:
    for path in ("/", "/topics?find=a", "/static/live.js", "/static/portal.css", "/made/up"):
        await client.get(path)
    await client.get("/", headers={"host": "attacker.example"})
    await client.post("/topics")

    def count(route: str, method: str = "GET") -> dict[str, float]:
        labels = {"listener": "portal", "method": method, "route": route}
        counted = {
            status: telemetry.registry.get_sample_value(
                "stadtbus_http_requests_total", {**labels, "status": status}
            )
            for status in ("2xx", "4xx")
        }
        return {status: value for status, value in counted.items() if value}

    assert [count(route) for route in ("/", "/topics", "/static")] == [
        {"2xx": 1}, {"2xx": 1}, {"2xx": 2},
    ]  # fmt: skip
    assert count("other") == {"4xx": 2}
    assert count("other", "POST") == {"4xx": 1}, "it was refused before anybody looked for a route"


async def test_its_own_event_loop_is_looked_at(portal: Portal, telemetry: Telemetry) -> None:
    name, labels = "stadtbus_event_loop_turn_seconds_count", {"loop": "portal"}
    await until(lambda: (telemetry.registry.get_sample_value(name, labels) or 0) > 0)


async def test_times_are_iso_where_one_points_at_them(client: httpx.AsyncClient) -> None:
    for path in PATHS:
        for time_ in Read((await client.get(path)).text).times:
            assert time_["datetime"] == time_["title"]
            assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}[+-]\d\d:\d\d", time_["title"] or "")


async def test_the_language_is_the_reader_s(client: httpx.AsyncClient) -> None:
    english = await client.get("/", headers={"accept-language": "en"})
    german = await client.get("/", headers={"accept-language": "de-DE"})
    assert '<html lang="en">' in english.text
    assert "One subscriber is late: count_report, 47 seconds" in english.text
    assert '<html lang="de">' in german.text
    assert "Ein Abonnent ist im Verzug: count_report, 47 Sekunden" in german.text
    assert "Accept-Language" in german.headers["vary"]


async def test_the_language_can_be_switched_and_stays(client: httpx.AsyncClient) -> None:
    switched = await client.get("/topics?find=sensor&lang=de")
    assert '<html lang="de">' in switched.text
    assert 'href="/topics?find=sensor&amp;lang=en"' in switched.text
    cookie = switched.headers["set-cookie"]
    assert "language=de" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert '<html lang="de">' in (await client.get("/")).text
    assert "set-cookie" not in (await client.get("/?lang=xx")).headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1:8080", 200, id="address"),
        pytest.param("localhost", 200, id="name"),
        pytest.param("[::1]:8080", 200, id="IPv6"),
        pytest.param("127.0.0.1.attacker.example", 421, id="a name that leads here"),
        pytest.param("attacker.example:8080", 421, id="another name"),
        pytest.param("", 421, id="none"),
    ],
)
async def test_only_this_machine_s_names_are_answered(
    client: httpx.AsyncClient, host: str, status: int
) -> None:
    for path in ("/", "/live/overview", "/static/portal.css"):
        answer = await client.head(path, headers={"host": host})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/../portal.py", 404),
        ("GET", "/static/%2e%2e/portal.py", 404),
        ("POST", "/topics", 415),
    ],
)
async def test_what_is_not_there_is_said_in_the_page_s_own_way(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    assert "Traceback" not in answer.text


async def test_an_address_with_another_host_in_it_leads_nowhere_else(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(httpx.URL(client.base_url, raw_path=b"//evil.example/x"))
    assert answer.status_code == 404
    assert 'href="//' not in answer.text


async def test_nonsense_in_an_address_is_let_be(client: httpx.AsyncClient) -> None:
    query = "?sort=__class__&down=x&page=-99999999999&find=%00%ff%3Cscript%3E&span=%27&lang=../.."
    for path in PATHS:
        answer = await client.get(path + query)
        assert answer.status_code == 200
        assert "<script>" not in answer.text


async def test_names_are_text_and_nothing_else(client: httpx.AsyncClient, watch: Watch) -> None:
    long = "x" * 5000
    watch.see(
        survey(
            [topic(HOSTILE), topic(long)],
            [
                subscription(HOSTILE, HOSTILE, records=9, seconds=99.0, promise=1.0),
                subscription(long, long, records=9, seconds=98.0, promise=1.0),
            ],
            dead={HOSTILE: 1},
            at=time.time(),
        )
    )
    for path in ("/", "/topics", "/subscribers"):
        html = (await client.get(path)).text
        assert "<script>alert" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;␛[31m\\u202e&#34;&#39;&amp;{{7*7}}" in html
        assert "x" * 1001 not in html


async def test_titles_come_from_contracts(settings: Settings, telemetry: Telemetry) -> None:
    class Known:
        def contract(self, name: str) -> dict[str, object]:
            return {"title": {"de": "Messwert <b>", "en": "Reading"}}

    portal = Portal(settings, telemetry, town(), Known())  # type: ignore[arg-type]
    await portal.start()
    async with httpx.AsyncClient(base_url=portal.url) as client:
        assert "Messwert &lt;b&gt;" in (await client.get("/topics?lang=de")).text
        assert "Reading" in (await client.get("/topics?lang=en")).text
    await portal.stop()


async def test_a_large_bus_is_shown_a_page_at_a_time(
    client: httpx.AsyncClient, watch: Watch
) -> None:
    topics = [topic(f"topic-{number:04}") for number in range(5000)]
    groups = [
        subscription(f"group-{number:04}", f"topic-{number:04}", records=number, seconds=1.0)
        for number in range(2000)
    ]
    watch.see(survey(topics, groups, at=time.time()))
    listed = (await client.get("/topics?sort=records&down=1&page=100")).text
    assert "Page 100 of 100" in listed
    assert "topic-4999" in listed
    assert listed.count('<th scope="row"') == 50
    found = (await client.get("/subscribers?find=group-19&sort=records&down=1")).text
    assert "1 to 50 of 100" in found
    assert found.index("group-1999") < found.index("group-1998")


async def test_an_open_page_is_told_of_news(client: httpx.AsyncClient, watch: Watch) -> None:
    async with client.stream("GET", "/live/topics?lang=en") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        lines = answer.aiter_lines()
        await _line(lines, "sensor.reading.v1")
        watch.see(survey([topic("brand.new.v1")], at=time.time()))
        await _line(lines, "brand.new.v1")


async def test_who_comes_to_too_many_open_pages_reads_and_comes_back(
    tmp_path: Path, telemetry: Telemetry
) -> None:
    flags = {"data": tmp_path, "portal.listen": "127.0.0.1:0", "portal.max_streams": 2}
    portal = Portal(load(flags, environ={}, directory=tmp_path), telemetry, town(), None)
    await portal.start()
    async with (
        httpx.AsyncClient(base_url=portal.url) as client,
        client.stream("GET", "/live/overview") as first,
        client.stream("GET", "/live/overview") as second,
    ):
        followed = [one.aiter_lines() for one in (first, second)]
        for told in followed:
            await _line(told, "data:")
        async with client.stream("GET", "/live/overview") as late:
            lines = [line async for line in late.aiter_lines()]
        assert any("count_report" in line for line in lines)
        assert lines[-4] == "event: full"
        assert (await client.get("/")).status_code == 200
        assert len(portal._streams) == 2
    await portal.stop()


async def test_readers_who_go_are_forgotten(client: httpx.AsyncClient, portal: Portal) -> None:
    async with client.stream("GET", "/live/overview") as answer:
        await _line(answer.aiter_lines(), "data:")
        assert len(portal._streams) == 1
    await until(lambda: len(portal._streams) == 0, 5)


async def test_open_pages_do_not_hold_up_the_end(settings: Settings, telemetry: Telemetry) -> None:
    portal = Portal(settings, telemetry, town(), None)
    await portal.start()
    async with (
        httpx.AsyncClient(base_url=portal.url) as client,
        client.stream("GET", "/live/overview") as answer,
    ):
        lines = answer.aiter_lines()
        await _line(lines, "data:")
        await portal.stop()
        await _line(lines, "event: full")


async def test_events_are_counted_by_the_minute(
    client: httpx.AsyncClient, watch: Watch, portal: Portal
) -> None:
    assert watch.latest is not None
    await until(lambda: portal._pulse.seen is watch.latest, 5)
    now = time.time()
    begun = replace(watch.latest, at=now)
    watch.see(begun)
    await until(lambda: portal._pulse.seen is begun, 5)
    grown = {
        name: replace(one, bounds={0: (0, one.end + 100)}) for name, one in begun.topics.items()
    }
    ended = replace(begun, at=now + 10.0, topics=grown)
    watch.see(ended)
    await until(lambda: portal._pulse.seen is ended, 5)
    counted = portal._sums.read(0, 2**31)
    assert sum(one.received for one in counted.values()) == pytest.approx(400.0)


@pytest.mark.parametrize("tls", [False, True])
def test_other_machines_are_not_let_in(tmp_path: Path, telemetry: Telemetry, tls: bool) -> None:
    flags: dict[str, object] = {"data": tmp_path, "portal.listen": "0.0.0.0:0"}
    settings = load(flags, environ={}, directory=tmp_path)
    if tls:
        files = {"certificate_file": Path("x.pem"), "key_file": Path("x.key")}
        settings = settings.model_copy(update={"portal": settings.portal.model_copy(update=files)})
    with pytest.raises(InvalidSettings, match="no login"):
        refuse_open_listeners(settings, ("portal",))


async def _line(lines: object, text: str) -> None:
    """Read a stream until a line has this in it."""
    async with asyncio.timeout(10):
        async for line in lines:  # type: ignore[attr-defined]
            if text in line:
                return
    raise AssertionError(f"the stream ended before {text}")
