"""The live tail over HTTP, on a real broker: bursts, masks, hostile events, who looked."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.admin import Admin, TopicSpec
from bus.avro.codec import Codec
from bus.contracts import Contract
from bus.errors import BusUnavailable
from bus.event import changing, frame, unchanging
from bus.kafka import Fetched, Producer, Record
from bus.portal import Portal, payloads
from bus.portal.language import Language, languages
from bus.portal.masking import MASK
from bus.portal.payloads import shown
from bus.portal.publishers import sampled
from bus.portal.registry import LocalRegistry
from bus.portal.tailing import Line
from bus.portal.tailing.decoding import Decoding
from bus.portal.viewer import Role, Viewer
from bus.registry.state import State
from bus.settings import KafkaSettings, Settings, load
from bus.telemetry import Telemetry
from tests.portal.agreed import ARS, SCHEMA, TOPIC, agreed, moved
from tests.portal.city import Watch
from tests.portal.forms import proof

CODEC = Codec(SCHEMA)
SOURCE = "urn:stadtbus:de.mun.110000000000.register"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


def event(number: str, name: str = "Ada Lovelace", *, schema_id: int = 1) -> Record:
    data = {"municipality": ARS, "number": number, "name": name}
    id_ = f"00000000-0000-7000-8000-{abs(hash(number)) % 10**12:012}"
    headers = unchanging(SOURCE, TOPIC)
    headers += changing(id_, "2026-11-20T08:00:00Z", "a/1", None, None)
    value = frame(schema_id, CODEC.encode(data))
    return Record(f"{ARS}:{number.replace(':', '%3A')}".encode(), value, headers)


class Town:
    """A portal on a broker with a topic, and what a test does to it."""

    def __init__(self, portal: Portal, producer: Producer, client: httpx.AsyncClient) -> None:
        self.portal, self.client, self._producer = portal, client, producer

    async def publish(self, records: list[Record]) -> None:
        """Write records to both partitions in turn."""
        for partition in (0, 1):
            if records[partition::2]:
                await self._producer.append(TOPIC, partition, records[partition::2])

    async def page(self, **query: str) -> str:
        answer = await self.client.get("/tail/topic", params={"topic": TOPIC, **query})
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
def settings(tmp_path: Path, fresh: KafkaSettings) -> Settings:
    flags = {"data": tmp_path, "portal.listen": "127.0.0.1:0"}
    return load(flags, environ={}, directory=tmp_path).model_copy(update={"kafka": fresh})


@asynccontextmanager
async def town_of(settings: Settings, known: State | None) -> AsyncIterator[Town]:
    async with Admin(settings.kafka) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=2, configs={}))
    portal = Portal(settings, Telemetry(), Watch(), known, roles=("portal",))
    await portal.start()
    try:
        headers = {"accept-language": "en"}
        async with (
            Producer(settings.kafka) as producer,
            httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=30) as client,
        ):
            yield Town(portal, producer, client)
    finally:
        await portal.stop()


@pytest.fixture
async def town(settings: Settings) -> AsyncIterator[Town]:
    async with town_of(settings, agreed(moved())) as made:
        yield made


class Stream:
    """What a browser gets of a tail."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.position, self.shown, self.skipped, self.filtered = "", 0, 0, 0
        self.rows: list[Mapping[str, str]] = []
        self.again: list[Mapping[str, str]] = []
        self.trouble = ""

    @property
    def total(self) -> int:
        """All that was accounted for."""
        return self.shown + self.skipped + self.filtered

    async def take(self) -> str:
        """Take one event in; return its name."""
        name, id_, data = "", "", ""
        async with asyncio.timeout(20):
            async for line in self._lines:
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    id_ = value
                elif field == "data":
                    data += value
                elif not line and data:
                    break
            else:
                raise AssertionError("the stream has ended")
        if name:
            return name
        told: Mapping[str, Any] = json.loads(data)
        self.position = id_
        self.shown += len(told["lines"])
        self.skipped += told["skipped"]
        self.filtered += told["filtered"]
        self.rows += told["lines"]
        self.again += told["again"]
        self.trouble = told["trouble"]
        return ""


@asynccontextmanager
async def stream(town: Town, **query: str) -> AsyncIterator[Stream]:
    headers = {"last-event-id": query.pop("last")} if "last" in query else {}
    asked = {"topic": TOPIC, **query}
    async with town.client.stream("GET", "/live/tail/topic", params=asked, headers=headers) as got:
        assert got.status_code == 200
        assert got.headers["content-type"].startswith("text/event-stream")
        yield Stream(got.aiter_lines())


async def test_a_page_has_the_newest_events_decoded_and_masked(town: Town) -> None:
    await town.publish([event("1"), event("2")])
    html = await town.page()
    assert f"{ARS}:1" in html
    assert "de.mun.110000000000.register" in html
    assert MASK in html
    assert "Lovelace" not in html


@pytest.mark.slow
async def test_a_burst_leaves_none_unaccounted_for_across_a_reconnect(town: Town) -> None:
    """What is shown, skipped and filtered is all there was, whatever became of the connection."""
    total = 10_000
    async with stream(town, key=":1") as first:
        await first.take()
        for start in range(0, total // 2, 1000):
            await town.publish([event(str(number)) for number in range(start, start + 1000)])
        while first.total < 2000:
            await first.take()
    for start in range(total // 2, total, 1000):
        await town.publish([event(str(number)) for number in range(start, start + 1000)])
    async with stream(town, key=":1", last=first.position) as second:
        while first.total + second.total < total:
            await second.take()
        assert first.total + second.total == total
        await town.publish([event("1")])
        await second.take()
        assert second.rows[-1]["key"].endswith(":1")
    assert first.total + second.total == total + 1
    assert first.filtered > 0
    assert first.shown + second.shown > 0
    places = [row["place"] for row in first.rows + second.rows]
    assert len(places) == len(set(places))


async def test_what_cannot_be_decoded_is_a_line_and_the_tail_goes_on(town: Town) -> None:
    good = event("1")
    odd = [
        Record(good.key, b"", good.headers),
        Record(good.key, good.value, ()),
        Record(None, good.value, good.headers),
        Record(good.key, (good.value or b"") + b"x", good.headers),
        event("1", schema_id=77),
    ]
    await town.publish([*odd, good])
    async with stream(town) as tail:
        while tail.total < 6:
            await tail.take()
    faults = sorted(row["fault"] for row in tail.rows)
    assert faults == [
        "",
        "Not decoded: its data is not what its schema says.",
        "Not decoded: its headers are not those of an event.",
        "Not decoded: its key is none.",
        "Not decoded: no schema's number stands before its data.",
        "Not decoded: the contract has no such schema.",
    ]
    assert all(row["place"] for row in tail.rows)
    assert not any("Lovelace" in str(row) for row in tail.rows)


async def test_payloads_are_text_and_not_too_long(town: Town) -> None:
    await town.publish([event(HOSTILE), event("2" * 100_000)])
    html = await town.page()
    assert "<script>alert" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "2" * 3000 not in html
    assert "more characters" in html
    async with stream(town) as tail:
        while tail.total < 2:
            await tail.take()
    assert not any("\x1b" in row["key"] + row["data"] for row in tail.rows)


async def test_what_is_masked_is_found_by_nobody(town: Town) -> None:
    await town.publish([event("1"), event("2", "Grace Hopper")])
    html = await town.page(value="Hopper")
    assert 'data-count="filtered" data-value="2"' in html
    assert "Hopper" in html.split("</form>")[0]  # the filter itself, as it was given
    assert "Hopper" not in html.split("<tbody")[1]
    assert 'data-count="shown" data-value="1"' in await town.page(value='"number": "2"')


async def unmask(town: Town, **changed: str) -> int:
    """Return the status with which the form is answered."""
    form = {
        "topic": TOPIC,
        "reason": "complaint 4711",
        "then": "/tail",
        **await proof(town.client),
        **changed,
    }
    return (await town.client.post("/unmask", data=form)).status_code


async def test_masks_come_off_for_a_reason_for_one_topic_and_that_is_noted(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    await town.publish([event("1")])
    with caplog.at_level(logging.INFO, logger="stadtbus.audit"):
        assert await unmask(town, reason="complaint 4711\nforged=line") == 303
        assert "Lovelace" in await town.page()
    [unmasked] = [m for m in caplog.messages if "unmasked" in m]
    assert f'topic="{TOPIC}" reason="complaint 4711 forged=line"' in unmasked
    assert any("payloads viewed" in m and "masks=off" in m for m in caplog.messages)
    async with stream(town) as tail:
        await tail.take()
        assert "Lovelace" in tail.rows[0]["data"]
        town.portal._unmasking._until.clear()
        assert await tail.take() == "masked"
    assert "Lovelace" not in await town.page()


async def test_somebody_else_s_masks_stay_on(town: Town) -> None:
    await town.publish([event("1")])
    await unmask(town)
    assert "Lovelace" in await town.page()
    async with httpx.AsyncClient(base_url=town.portal.url) as other:
        asked = {"topic": TOPIC}
        assert "Lovelace" not in (await other.get("/tail/topic", params=asked)).text
        assert "Lovelace" not in (await other.get("/tail/topic", params=asked)).text


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        pytest.param({"reason": ""}, 303, id="no reason"),
        pytest.param({"reason": "x" * 201}, 303, id="too long a reason"),
        pytest.param({"reason": "x" * 70_000}, 413, id="far too long"),
        pytest.param({"csrf": ""}, 400, id="no form of ours"),
    ],
)
async def test_masks_stay_on_without_a_reason_or_a_page_of_ours(
    town: Town, changed: Mapping[str, str], status: int
) -> None:
    await town.publish([event("1")])
    assert await unmask(town, **changed) == status
    assert "Lovelace" not in await town.page()


@pytest.mark.parametrize(
    ("role", "seen", "unmasked"),
    [(Role.VIEWER, 403, 403), (Role.OPERATOR, 200, 403), (Role.ADMINISTRATOR, 200, 303)],
)
async def test_a_role_is_needed(
    town: Town, monkeypatch: pytest.MonkeyPatch, role: Role, seen: int, unmasked: int
) -> None:
    monkeypatch.setattr("bus.portal.guard.LOCAL", Viewer(name="ada", role=role))
    asked = {"topic": TOPIC}
    assert (await town.client.get("/tail/topic", params=asked)).status_code == seen
    assert await unmask(town) == unmasked


async def test_without_the_registry_rows_say_so(settings: Settings) -> None:
    gone = settings.registry.model_copy(update={"url": "http://127.0.0.1:1"})
    async with town_of(settings.model_copy(update={"registry": gone}), None) as town:
        await town.publish([event("1")])
        html = await town.page()
        assert "Not decoded: the registry cannot be reached." in html
        assert "Lovelace" not in html


class Away(LocalRegistry):
    """A registry that is away until a test says that it is back."""

    back = False

    async def contract(self, topic: str) -> Contract:
        if not self.back:
            raise BusUnavailable("the registry cannot be reached")
        return await super().contract(topic)


async def test_once_the_registry_is_back_what_could_not_be_decoded_is(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who looks, and for who comes then; who filters is told nothing twice."""
    monkeypatch.setattr("bus.portal.tailing.decoding.AGAIN", 0.1)
    monkeypatch.setattr("bus.portal.tailing.feed.AGAIN", 0.1)
    registry = Away(agreed(moved()))
    town.portal._feeds._registry = registry
    await town.publish([event("1"), event("2")])
    async with stream(town) as followed, stream(town, key=":1") as filtering:
        while followed.total < 2:
            await followed.take()
        while filtering.total < 2:
            await filtering.take()
        assert {row["fault"] for row in followed.rows} == {
            "Not decoded: the registry cannot be reached."
        }
        registry.back = True
        while len(followed.again) < 2:
            await followed.take()
        assert {row["fault"] for row in followed.again} == {""}
        assert {row["place"] for row in followed.again} == {"0:0", "1:0"}
        assert followed.total == 2
        await town.publish([event("11")])
        while filtering.total < 3:
            await filtering.take()
        assert (filtering.shown, filtering.filtered, filtering.again) == (1, 2, [])
    html = await town.page()
    assert f"{ARS}:1" in html
    assert "cannot be reached" not in html


async def test_a_topic_without_a_contract_shows_no_payload(settings: Settings) -> None:
    async with town_of(settings, State()) as town:
        await town.publish([event("1")])
        html = await town.page()
        assert "Not decoded: the topic has no contract." in html
        assert "Lovelace" not in html


async def test_a_topic_that_is_not_there(town: Town) -> None:
    for path in ("/tail/topic", "/live/tail/topic"):
        assert (await town.client.get(path, params={"topic": "no.such.v1"})).status_code == 404
        assert (await town.client.get(path)).status_code == 404
        assert (await town.client.get(path, params={"topic": "x" * 300})).status_code == 404


async def test_all_who_follow_a_topic_share_a_reader(town: Town) -> None:
    async with stream(town) as one, stream(town) as other:
        await one.take()
        await other.take()
        assert len(town.portal._feeds._feeds) == 1
        await town.publish([event("1")])
        await one.take()
        await other.take()
        assert one.rows == other.rows
        assert len(one.rows) == 1


async def test_an_event_is_put_into_words_once_for_all_who_follow(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in each language."""
    worded: list[tuple[str, str]] = []
    words = payloads._texts

    def counting(line: Line, say: Language, *, clear: bool) -> Mapping[str, str]:
        worded.append((f"{line.partition}:{line.offset}", say.code))
        return words(line, say, clear=clear)

    monkeypatch.setattr(payloads, "_texts", counting)
    async with stream(town) as one, stream(town) as other, stream(town, lang="de") as german:
        for reader in (one, other, german):
            await reader.take()
        await town.publish([event("1"), event("2")])
        for reader in (one, other, german):
            while reader.total < 2:
                await reader.take()
    assert sorted(worded) == sorted(product(("0:0", "1:0"), ("de", "en")))


async def test_a_slow_reader_holds_up_nobody(town: Town) -> None:
    """What waits for somebody who does not read is bounded, and counted."""
    async with stream(town) as slow, stream(town) as quick:
        await slow.take()
        await quick.take()
        for start in range(0, 3000, 1000):
            await town.publish([event(str(number)) for number in range(start, start + 1000)])
        while quick.total < 3000:
            await quick.take()
        while slow.total < 3000:
            await slow.take()
        assert slow.shown + slow.skipped == 3000


@pytest.mark.parametrize("timestamp", [2**62, -(2**62), -1])
async def test_a_time_that_no_calendar_has_is_no_trouble(timestamp: int) -> None:
    record = event("1")
    odd = Fetched(TOPIC, 0, 0, timestamp, record.key, record.value, record.headers)
    line = await Decoding(TOPIC, LocalRegistry(agreed(moved()))).line(odd)
    [row] = shown([line], languages()["en"], clear=False)
    assert row["place"] == "0:0"
    assert row["at"]
    assert sampled([odd]).since == line.at
