"""The page of traffic load: listed where its view is kept, drawn from it, followed."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bus.admin import Admin, TopicSpec
from bus.kafka import Producer, Record
from bus.portal import Portal
from bus.portal.listing import Choice
from bus.portal.pages.traffic import view
from bus.portal.traffic import MUNICIPALITY, Traffic, pictured
from bus.settings import KafkaSettings, load
from bus.telemetry import Telemetry
from bus.views.traffic import TOPIC, UNLISTED_CODE, Segment, Window
from tests.portal.city import Watch, survey, topic
from tests.views.test_traffic_reading import key, value
from tests.waiting import until

STREETS = tuple(
    Segment(id_, f"<b>{id_}</b> street", (((6.9, 50.9), (6.95, 50.9 + number / 100)),))
    for number, id_ in enumerate(("a", "b", "c"))
)


def window(segment: str, *codes: int | None) -> Window:
    observed = {1_000_000 * (number + 1): code for number, code in enumerate(codes)}
    start = datetime.fromtimestamp(0, UTC)
    return Window(municipality=MUNICIPALITY, segment=segment, start=start, codes=observed)


def test_without_observations_there_is_no_map() -> None:
    assert pictured(STREETS, []) == Traffic()
    shown = view(Traffic())
    assert (shown.picture, shown.listing.total) == (None, 0)


def test_the_busiest_stand_first_and_those_without_an_average_last() -> None:
    traffic = pictured(STREETS, [window("a", 1, 1), window("b", 3, UNLISTED_CODE)])
    shown = view(traffic)
    assert [row.segment for row in shown.listing.rows] == ["b", "a", "c"]
    assert [row.average for row in shown.listing.rows] == [3.0, 1.0, None]
    assert shown.listing.rows[0].unlisted == 1
    assert shown.at == 2.0
    assert view(traffic, Choice(sort="segment", find="B>")).listing.total == 3


@pytest.mark.parametrize("path", ["/", "/traffic"])
async def test_the_page_is_listed_where_the_view_is_kept(
    client: httpx.AsyncClient, watch: Watch, path: str
) -> None:
    assert 'href="/traffic"' not in (await client.get(path)).text.split("<main")[0]
    watch.see(survey([topic(TOPIC)]))
    assert 'href="/traffic"' in (await client.get(path)).text.split("<main")[0]


async def test_the_view_is_followed(tmp_path: Path, fresh: KafkaSettings) -> None:
    async with Admin(fresh) as admin:
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=1, configs={}))
    flags = {"data": tmp_path, "portal.listen": "127.0.0.1:0"}
    settings = load(flags, environ={}, directory=tmp_path).model_copy(update={"kafka": fresh})
    watch = Watch()
    watch.see(survey([topic(TOPIC)]))
    portal = Portal(settings, Telemetry(), watch, None)
    await portal.start()
    async with (
        Producer(fresh) as producer,
        httpx.AsyncClient(base_url=portal.url, headers={"accept-language": "en"}) as client,
    ):
        assert "There is no observation yet." in (await client.get("/traffic")).text
        await producer.append(TOPIC, 0, [Record(key("<b>x</b>"), value(2))])
        await until(lambda: portal._traffic.latest.at is not None, 10)
        html = (await client.get("/traffic")).text
        assert "&lt;b&gt;x&lt;/b&gt;" in html
        assert '<path class="load load-none"' in html
        assert "Code 16 is frequent" in html
        await producer.append(TOPIC, 0, [Record(key("y"), value(3))])
        before = portal._traffic.latest
        await until(lambda: portal._traffic.latest is not before, 10)
        found = (await client.get("/traffic?find=y")).text
        assert '<bdi class="name">y</bdi>' in found
    await portal.stop()
