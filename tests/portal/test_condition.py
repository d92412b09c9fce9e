"""What keeps the bus from working, its subscribers aside, is said first."""

from dataclasses import replace

import pytest

from bus.portal.condition import Condition, condition
from bus.portal.language import languages
from bus.portal.pages import overview, topics
from bus.portal.picture import Picture, Silent
from bus.portal.states import State
from bus.telemetry import Telemetry
from bus.watch.expected import Expected
from bus.watch.rates import Rates
from tests.portal.city import ADDRESSES, NOW, READINGS, subscription, survey, topic

GERMAN, ENGLISH = languages()["de"], languages()["en"]
WORKS = "Everything works: 26 events a second."
PICTURE = Picture(
    survey=survey([topic(READINGS)]),
    rates=Rates(seconds=5.0, published={READINGS: 26.0}, consumed={}),
)


@pytest.mark.parametrize(
    ("found", "state", "sentences"),
    [
        pytest.param(Condition(), State.GOOD, [WORKS], id="sound"),
        pytest.param(
            Condition(silence=2.0, free=0.5), State.GOOD, [WORKS], id="room, and events come back"
        ),
        pytest.param(
            Condition(silence=30.0),
            State.BAD,
            ["Events do not get through: for 30 sec none of the bus's own has come back."],
            id="nothing gets through",
        ),
        pytest.param(
            Condition(free=0.0),
            State.BAD,
            ["Publishers have to wait, or will soon: 0% of the disk are free."],
            id="the disk is full",
        ),
        pytest.param(
            Condition(free=0.1),
            State.WARNING,
            [WORKS, "10% of the disk are free."],
            id="the disk is nearly full",
        ),
        pytest.param(
            Condition(damaged=2),
            State.BAD,
            ["2 partitions are out of service: what is stored of them is damaged."],
            id="damage",
        ),
        pytest.param(
            Condition(silent=[Silent(topic=READINGS, seconds=2820.0, interval=900.0)]),
            State.WARNING,
            [
                WORKS,
                f"1 topic is silent: {READINGS}, nothing for 47 min, agreed interval 15 min.",
            ],
            id="a feed is silent",
        ),
    ],
)
def test_the_first_sentence_knows_of_it(
    found: Condition, state: State, sentences: list[str]
) -> None:
    shown = overview.view(PICTURE, NOW + 1.0, condition=found)
    assert (shown.state, list(shown.sentences(ENGLISH))) == (state, sentences)


def test_in_german() -> None:
    found = Condition(silence=90.0, free=0.02)
    assert list(overview.view(PICTURE, NOW, condition=found).sentences(GERMAN)) == [
        "Ereignisse kommen nicht durch: Seit 1 Min. 30 Sek. ist kein Test-Ereignis zurückgekommen.",
        "Sender müssen warten oder werden es bald: Auf der Platte sind 2\xa0% frei.",
    ]


def test_losses_are_told_beside_it() -> None:
    lost = Picture(survey=survey([topic(READINGS)], [subscription(lost=3)]))
    shown = overview.view(lost, NOW, condition=Condition(free=0.0))
    assert list(shown.sentences(ENGLISH)) == [
        "Publishers have to wait, or will soon: 0% of the disk are free.",
        "Events are being lost: 1 subscriber is affected.",
    ]


def test_a_node_without_the_broker_knows_nothing_of_its_disk(telemetry: Telemetry) -> None:
    telemetry.storage_free.set(1.0)
    telemetry.storage_disk.set(100.0)
    telemetry.damaged_partitions.set(1)
    here = condition(PICTURE, 1.0, ("broker", "portal"), telemetry, NOW)
    assert here == Condition(silence=1.0, free=0.01, damaged=1)
    assert condition(PICTURE, None, ("portal",), telemetry, NOW) == Condition()


def test_a_disk_that_nobody_has_looked_at_is_not_full(telemetry: Telemetry) -> None:
    assert condition(None, None, ("broker",), telemetry, NOW) == Condition()


@pytest.mark.parametrize(
    ("newest", "end", "read", "seconds"),
    [
        pytest.param(NOW - 900.0, 10, True, None, id="just in time"),
        pytest.param(NOW - 901.0, 10, False, 901.0, id="too long ago"),
        pytest.param(None, 0, True, 5000.0, id="never, and somebody waits"),
        pytest.param(None, 0, False, None, id="never, and nobody waits"),
        pytest.param(None, 10, True, None, id="nobody knows when"),
    ],
)
def test_a_topic_is_silent_where_its_contract_expects_more(
    newest: float | None, end: int, read: bool, seconds: float | None
) -> None:
    seen = survey(
        [topic(READINGS, end, newest=newest), topic(ADDRESSES)], [subscription()] if read else []
    )
    expected = {
        READINGS: Expected(interval=900.0, since=NOW - 5000.0),
        "gone.v1": Expected(interval=1.0, since=0.0),
    }
    shown = replace(PICTURE, survey=seen, expected=expected)
    found = [Silent(topic=READINGS, seconds=seconds, interval=900.0)] if seconds else []
    assert list(shown.silent(NOW)) == found
    row = {one.topic: one for one in topics.view(shown).listing.rows}[READINGS]
    assert (row.state is State.WARNING, row.expected) == (bool(found), 900.0)
