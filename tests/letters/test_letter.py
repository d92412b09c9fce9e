"""What letters and re-driven events look like, whatever was in the event."""

from datetime import UTC, datetime

import pytest

from bus.kafka import Fetched, Record
from bus.letters import Letter, dead_topic, letters, original, read_letter, redrive_topic, redriven

MEMBER, TOPIC = "de.agency.statistik", "sensor.reading.v1"
GROUP = f"{MEMBER}.counts"
DEAD, REDRIVE = dead_topic(MEMBER, TOPIC), redrive_topic(MEMBER, TOPIC)
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
PLAIN = [("ce_id", b"1"), ("x", b"\x1b[31m<script>")]


def fetched(topic: str, record: Record, offset: int = 7) -> Fetched:
    return Fetched(topic, 2, offset, 1000, *record)


def refused(record: Record, *, group: str = GROUP, earlier: tuple[str, ...] = ()) -> Letter:
    (whole, *_) = letters(fetched(TOPIC, record, 41), "bad-event", "why", group, NOW, earlier)
    return read_letter(fetched(DEAD, whole))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(Record(b"k", b"v", PLAIN), id="an event"),
        pytest.param(Record(b"k", None, PLAIN), id="a tombstone"),
        pytest.param(Record(None, None, []), id="nothing at all"),
        pytest.param(
            Record(b"k", b"v", [("stadtbus-dead-reason", b"forged"), *PLAIN]),
            id="with our headers' names of letters",
        ),
        pytest.param(
            Record(b"k", b"v", [*PLAIN, ("stadtbus-redrive-group", b"de.agency.other.x")]),
            id="with our headers' names of re-driven events",
        ),
        pytest.param(
            Record(b"k", b"v", [("h" * 5000, b"\xff" * 100_000)]), id="with a huge header"
        ),
    ],
)
def test_a_letter_gives_back_its_event_and_so_does_what_is_re_driven(event: Record) -> None:
    letter = refused(event)
    assert Record(letter.key, letter.value, list(letter.headers)) == event
    assert (letter.reason, letter.detail, letter.group) == ("bad-event", "why", GROUP)
    assert letter.place == f"{DEAD}/2/7"
    assert letter.redrive_topic == REDRIVE
    assert letter.hindrance is None
    found = original(fetched(REDRIVE, redriven(letter), 3))
    assert found is not None
    was, group, history = found
    assert Record(was.key, was.value, list(was.headers)) == event
    assert (was.topic, was.partition, was.offset) == (TOPIC, 2, 41)
    assert group == GROUP
    assert history == (f"{TOPIC}/2/41", (f"{DEAD}/2/7",))


def test_an_event_that_fails_again_and_again_keeps_its_newest_letters() -> None:
    earlier = tuple(f"{DEAD}/2/{number}" for number in range(30))
    letter = refused(Record(b"k", b"v", PLAIN), earlier=earlier)
    assert letter.earlier == earlier[-20:]
    found = original(fetched(REDRIVE, redriven(letter)))
    assert found is not None
    assert found[2].letters == (*earlier[-19:], letter.place)


@pytest.mark.parametrize(
    ("smaller", "without"), [(1, "value"), (2, "key, value, headers")], ids=["value", "all"]
)
def test_what_was_too_large_cannot_be_re_driven(smaller: int, without: str) -> None:
    event = fetched(TOPIC, Record(b"k", b"v", PLAIN), 41)
    records = list(letters(event, "bad-event", "why", GROUP, NOW))
    letter = read_letter(fetched(DEAD, records[smaller]))
    assert letter.without == without
    assert letter.hindrance is not None
    assert without in letter.hindrance
    assert f"{TOPIC}/2/41" in letter.hindrance


@pytest.mark.parametrize(
    "group", ["", "de.agency.other.reader", "de.agency.statistikamt.x", "\x1b[31m"]
)
def test_nothing_is_re_driven_to_a_group_of_somebody_else(group: str) -> None:
    assert refused(Record(b"k", b"v"), group=group).hindrance is not None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([("stadtbus-redrive-group", GROUP.encode())], id="no origin"),
        pytest.param(
            [
                ("stadtbus-redrive-group", GROUP.encode()),
                ("stadtbus-redrive-origin", b"t/x/\xff"),
                ("stadtbus-redrive-letters", b"a"),
            ],
            id="an origin that is none",
        ),
    ],
)
def test_what_is_no_re_driven_event_is_for_nobody(headers: list[tuple[str, bytes]]) -> None:
    assert original(fetched(REDRIVE, Record(b"k", b"v", headers))) is None
