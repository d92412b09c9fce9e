"""What pages show, without HTTP."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from bus.portal import chart
from bus.portal.judging import Finding
from bus.portal.language import languages
from bus.portal.listing import Choice
from bus.portal.pages import PAGES, node, overview, subscribers, topics
from bus.portal.picture import Picture
from bus.portal.render import Templates
from bus.portal.states import State
from bus.portal.sums import Sum
from bus.settings import load, names
from bus.telemetry import Series, Telemetry
from bus.watch.rates import Mark, Rates
from bus.watch.survey import Subscription
from tests.portal.city import ADDRESSES, NOW, READINGS, subscription, survey, topic

GERMAN, ENGLISH = languages()["de"], languages()["en"]
LATE = subscription(records=1222, seconds=47.0, promise=30.0)


def picture(
    *read: Subscription, received: float | None = 26.0, dead: dict[str, int] | None = None
) -> Picture:
    """Return a bus on which two topics stand, with these subscriptions."""
    seen = survey([topic(READINGS), topic(ADDRESSES), topic("_schemas")], read, dead=dead)
    published = {READINGS: received or 0.0, "_schemas": 5.0}
    consumed = {(one.group, one.topic): 12.5 for one in read}
    rates = Rates(seconds=5.0, published=published, consumed=consumed)
    return Picture(survey=seen, rates=None if received is None else rates)


def said(shown: Picture | None, now: float = NOW + 1.0) -> list[str]:
    return list(overview.view(shown, now).sentences(ENGLISH))


def many(count: int) -> list[Subscription]:
    return [
        replace(LATE, group=f"group-{number}", seconds=60.0 + number) for number in range(count)
    ]


@pytest.mark.parametrize(
    ("shown", "sentences"),
    [
        pytest.param(
            None,
            ["Nothing is known yet: the bus is being looked at for the first time."],
            id="nothing",
        ),
        pytest.param(
            picture(subscription()), ["Everything works: 26 events a second."], id="in order"
        ),
        pytest.param(
            picture(received=None),
            ["Everything works. The rate is being measured."],
            id="first look",
        ),
        pytest.param(
            picture(received=1.0), ["Everything works: 1 event a second."], id="one a second"
        ),
        pytest.param(
            picture(LATE),
            [
                "Everything works: 26 events a second.",
                "One subscriber is late: count_report, 47 seconds, promised 30 seconds.",
            ],
            id="one is late",
        ),
        pytest.param(
            picture(*many(2)),
            [
                "Everything works: 26 events a second.",
                (
                    "2 subscribers are late: group-1, 1 minute 1 second, promised 30 seconds; "
                    "group-0, 1 minute, promised 30 seconds."
                ),
            ],
            id="two are late",
        ),
        pytest.param(
            picture(replace(LATE, lost=5)),
            ["Events are being lost: 1 subscriber is affected."],
            id="loss",
        ),
        pytest.param(
            picture(replace(LATE, seconds=600_000.0)),
            ["1 subscriber may lose events soon."],
            id="loss is near",
        ),
        pytest.param(
            picture(
                replace(LATE, lost=5),
                *[replace(one, seconds=600_000.0) for one in many(2)],
            ),
            [
                "Events are being lost: 1 subscriber is affected.",
                "2 subscribers may lose events soon.",
            ],
            id="loss here, and near there",
        ),
        pytest.param(
            picture(replace(LATE, seconds=1000.0, moved=NOW - 1000.0)),
            [
                "Something needs attention.",
                "1 subscriber makes no progress or is far behind.",
            ],
            id="stalled",
        ),
        pytest.param(
            picture(dead={"dead.de.a.b": 2, "dead.de.a.c": 0}),
            ["Everything works: 26 events a second.", "2 events were set aside and wait."],
            id="dead letters",
        ),
        pytest.param(
            picture(replace(LATE, group="_stadtbus.canary.x")),
            ["Everything works: 26 events a second."],
            id="the bus's own",
        ),
    ],
)
def test_the_first_sentences(shown: Picture | None, sentences: list[str]) -> None:
    assert said(shown) == sentences


def test_of_many_that_are_late_the_latest_are_named() -> None:
    _, late = said(picture(*many(7)))
    assert late.startswith("7 subscribers are late, above all: group-6, ")
    assert late.count("promised") == overview.NAMED


def test_in_german() -> None:
    assert list(overview.view(picture(LATE), NOW).sentences(GERMAN)) == [
        "Alles läuft: 26 Ereignisse je Sekunde.",
        "Ein Abonnent ist im Verzug: count_report, 47 Sekunden, zugesagt 30 Sekunden.",
    ]


def test_a_picture_that_is_old_is_not_believed() -> None:
    shown = picture(subscription())
    assert said(shown, NOW + 31.0) == ["The bus does not answer: what is shown here is old."]
    assert overview.view(shown, NOW + 31.0).state is State.UNKNOWN
    slow = replace(shown, survey=replace(shown.survey, took=10.0))
    assert said(slow, NOW + 31.0) == ["Everything works: 26 events a second."]


def test_the_bus_s_own_topics_and_groups_are_not_counted() -> None:
    shown = overview.view(picture(LATE, subscription("_canary")), NOW)
    assert (shown.topics, shown.topics_active, shown.groups) == (2, 1, 1)
    assert (shown.received, shown.sent) == (26.0, 12.5)


def test_what_is_worst_stands_first() -> None:
    lost, stalled = replace(LATE, group="b", lost=1), replace(LATE, group="c", moved=NOW - 1e4)
    shown = overview.view(picture(LATE, stalled, lost), NOW)
    assert [one.finding for one in shown.troubles] == [
        Finding.LOST, Finding.STALLED, Finding.LATE,
    ]  # fmt: skip
    assert shown.state is State.BAD


def test_a_chart_has_gaps_where_nothing_was_counted() -> None:
    now, before = {10: Sum(60, 120, 60)}, {11: Sum(30, 30, 0)}
    first, second = chart.points(now, before, 10, 12, 1)
    assert first.begin == 600
    assert (first.received, first.sent, first.received_before) == (2.0, 1.0, None)
    assert (second.received, second.received_before, second.sent_before) == (None, 1.0, 0.0)


def test_the_last_minutes_are_compared_with_yesterday_s() -> None:
    now = {1: Sum(60, 120, 60), 2: Sum(20, 200, 100)}
    point = chart.compared(now, {})
    assert (point.received, point.sent, point.received_before) == (4.0, 2.0, None)


def test_topics_are_listed_with_what_is_known() -> None:
    seen = survey([topic(READINGS), topic(ADDRESSES, 0, newest=None, size=None, retention=None)])
    titles = {READINGS: {"de": "Messwert", "en": "Reading"}}
    shown = Picture(survey=seen, titles=lambda name: titles.get(name, {}))
    empty, full = topics.view(shown).listing.rows
    assert (empty.topic, empty.state, empty.newest, empty.size) == (
        ADDRESSES, State.QUIET, None, None,
    )  # fmt: skip
    assert (full.state, full.records, full.titles["de"]) == (State.GOOD, 1000, "Messwert")


def test_the_bus_s_own_topics_are_shown_to_who_asks() -> None:
    shown = picture()
    assert topics.view(shown).listing.total == 2
    everything = topics.view(shown, Choice(sort="topic", everything=True)).listing
    assert [row.topic for row in everything.rows if row.own] == ["_schemas"]


def test_subscribers_in_trouble_come_first() -> None:
    shown = picture(
        subscription("a"), LATE, subscription("n", records=9, seconds=None, positions={})
    )
    rows = subscribers.view(shown).listing.rows
    assert [(row.group, row.finding) for row in rows] == [
        ("count_report", Finding.LATE), ("n", Finding.NEVER), ("a", Finding.CURRENT),
    ]  # fmt: skip
    assert (rows[0].sent, rows[0].members, rows[0].promise) == (12.5, 2, 30.0)


def test_a_subscriber_is_found_by_what_it_reads() -> None:
    shown = picture(LATE, subscription("book", ADDRESSES))
    found = subscribers.view(shown, Choice(sort="group", find="BUILDING")).listing.rows
    assert [row.group for row in found] == ["book"]


def test_a_lag_has_a_trend() -> None:
    marks = [Mark(at=NOW - 60, records={("count_report", READINGS): 10})]
    marks.append(Mark(at=NOW, records={("count_report", READINGS): 1222}))
    shown = replace(picture(LATE), history=marks)
    assert [row.trend for row in subscribers.view(shown).listing.rows] == ["growing"]


def test_settings_are_shown_with_their_origin_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "stadtbus.toml").write_text('[kafka]\npassword_file = "hidden.txt"\n')
    settings = load(
        {"data": tmp_path},
        environ={"STADTBUS_REGISTRY__URL": "http://user:geheim@bus.example:8081"},
        directory=tmp_path,
    )
    shown = node.view(settings, ("portal",), Telemetry(), NOW)
    known = {one.path: one for one in (*shown.given, *shown.others)}
    assert set(known) == set(names())
    assert (known["data"].value, known["data"].origin) == (str(tmp_path), "flags")
    assert known["broker.listen"].origin == "default"
    secret = known["kafka.password_file"]
    assert (secret.value, secret.secret, secret.origin) == (None, True, "stadtbus.toml")
    assert known["registry.url"].value == "http://…@bus.example:8081"
    assert known["registry.url"].origin == "environment"
    given = {one.path for one in shown.given}
    assert given == {"data", "kafka.password_file", "registry.url"}


def test_a_nodes_page_looks_at_its_own_metrics_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry = Telemetry()
    telemetry.storage_size.set(4096.0)
    telemetry.storage_free.set(9_000_000.0)
    collected: list[str] = []

    def collect(series: Series) -> list[Metric]:
        collected.append(series.name)
        return []

    monkeypatch.setattr(Series, "collect", collect)
    shown = node.view(load({}, environ={}, directory=tmp_path), ("broker",), telemetry, NOW)
    assert (shown.storage_size, shown.storage_free) == (4096.0, 9_000_000.0)
    assert collected == []  # there may be thousands of topics


def test_every_template_can_be_compiled_before_it_is_asked_for() -> None:
    templates = Templates()
    assert {f"{page.name}.html" for page in PAGES} <= set(templates.names)
    for name in templates.names:
        templates.compile(name)


def test_what_the_node_has_settled_itself_is_told(tmp_path: Path) -> None:
    settings = load({}, environ={}, directory=tmp_path)
    kafka = settings.kafka.model_copy(update={"bootstrap": "127.0.0.1:40001"})
    shown = node.view(settings.model_copy(update={"kafka": kafka}), (), Telemetry(), NOW)
    assert [(one.path, one.origin) for one in shown.given] == [("kafka.bootstrap", "node")]
