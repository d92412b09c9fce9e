"""What a surveyor need not ask again, and what it has to forget."""

import pytest

from bus.watch.memory import FACTS_AGE, FACTS_AT_ONCE, Memory
from bus.watch.survey import GroupState, Survey, TopicState, subscription

T0 = ("t", 0)
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("time", "end", "known"),
    [
        pytest.param(50.0, 10, True, id="the same end"),
        pytest.param(50.0, 12, True, id="more came: the record's time is what it is"),
        pytest.param(None, 10, True, id="nothing readable, and nothing came"),
        pytest.param(None, 12, False, id="nothing was readable, but more came"),
        pytest.param(50.0, 9, False, id="the log is shorter: it is another one"),
    ],
)
def test_the_time_of_an_offset_is_asked_for_once(time: float | None, end: int, known: bool) -> None:
    memory = Memory()
    said = None if time is None else NOW + time
    memory.learn({(T0, 7): said}, {T0: 10}, NOW + 100)
    assert memory.times([(T0, 7)], {T0: end}) == ({(T0, 7): said} if known else {})


@pytest.mark.parametrize(
    ("offset", "said", "learnt"),
    [
        pytest.param(12, NOW + 95, NOW + 95, id="between two surveys, as it was"),
        pytest.param(12, NOW + 10**9, NOW + 100, id="from the future: it is here now"),
        pytest.param(12, NOW + 5, NOW + 90, id="from the past: it was not there yet"),
        pytest.param(12, 0.0, NOW + 90, id="from 1970: neither"),
        pytest.param(7, NOW + 5, NOW + 5, id="it was there before: as it says"),
        pytest.param(7, NOW + 10**9, NOW + 100, id="it was there, and is from the future"),
        pytest.param(7, 0.0, NOW + 100, id="it was there, and says what cannot be"),
        pytest.param(7, -0.001, NOW + 100, id="it says nothing"),
    ],
)
def test_a_publisher_s_time_is_believed_as_far_as_it_can_be(
    offset: int, said: float, learnt: float
) -> None:
    memory, key = Memory(), (T0, offset)
    memory.learn({}, {T0: 10}, NOW + 90)
    assert memory.learn({key: said}, {T0: 20}, NOW + 100) == {key: learnt}
    assert memory.times([key], {T0: 20}) == {key: learnt}


def test_what_a_watch_that_begins_finds_is_no_newer_than_now() -> None:
    memory = Memory()
    assert memory.learn({(T0, 7): NOW + 10**9, (T0, 5): NOW}, {T0: 8}, NOW + 1) == {
        (T0, 7): NOW + 1, (T0, 5): NOW,
    }  # fmt: skip


def test_facts_are_asked_for_in_turns() -> None:
    memory = Memory()
    topics = [f"t{number:04}" for number in range(FACTS_AT_ONCE + 10)]
    assert set(memory.due(topics, 0.0)) == set(topics), "at first all are new"
    memory.note(topics, {"t0000": 60.0}, {"t0000": 5}, 0.0)
    assert memory.facts("t0000") == (60.0, 5)
    assert memory.facts("t0001") == (None, None)
    assert memory.due(topics, FACTS_AGE - 1) == []
    due = memory.due([*topics, "new"], FACTS_AGE)
    assert due[0] == "new"
    assert len(due) == FACTS_AT_ONCE
    memory.note(due, {}, {}, FACTS_AGE)
    assert len(memory.due([*topics, "new"], FACTS_AGE)) == 11, "the rest comes next"


@pytest.mark.parametrize(
    ("end", "time", "newest"),
    [
        pytest.param(10, 70.0, 70.0, id="nothing came"),
        pytest.param(12, 95.0, 95.0, id="the newest record's own time"),
        pytest.param(12, 40.0, 70.0, id="a time given by its producer makes it no older"),
        pytest.param(12, None, 100.0, id="it cannot be read: it came since the last survey"),
        pytest.param(10, None, 70.0, id="nothing came, and it cannot be read any more"),
    ],
)
def test_when_the_newest_record_was_appended(end: int, time: float | None, newest: float) -> None:
    memory = Memory()
    assert memory.newest("t", {0: (0, 10)}, {(T0, 9): 70.0}, 90.0) == 70.0
    assert memory.newest("t", {0: (0, end)}, {(T0, end - 1): time}, 100.0) == newest


def test_an_empty_topic_has_no_newest_record() -> None:
    assert Memory().newest("t", {0: (5, 5)}, {}, 100.0) is None


def test_positions_move_when_they_are_seen_to() -> None:
    memory = Memory()
    seen = [
        memory.moved("g", "t", positions, now)
        for positions, now in [({}, 10.0), ({}, 20.0), ({0: 1}, 30.0), ({0: 1}, 40.0)]
    ]
    assert seen == [10.0, 10.0, 30.0, 30.0]


def test_what_a_survey_did_not_meet_is_forgotten() -> None:
    memory = Memory()
    for topic in ("stays", "goes"):
        memory.learn({((topic, 0), 7): NOW}, {(topic, 0): 10}, NOW)
        memory.note([topic], {}, {topic: 1}, 0.0)
        memory.newest(topic, {0: (0, 8)}, {((topic, 0), 7): 5.0}, 9.0)
        memory.moved("g", topic, {0: 7}, 1.0)
    one = subscription(
        "g", "stays", positions={0: 7}, bounds={0: (0, 8)}, times={0: 5.0}, now=9.0
    )  # fmt: skip
    survey = Survey(
        at=9.0,
        took=0.1,
        topics={"stays": TopicState(topic="stays", bounds={0: (0, 8)})},
        groups={"g": GroupState(group="g", state="empty", members=0, subscriptions={"stays": one})},
        dead={},
    )
    memory.forget([("stays", 0)], [(("stays", 0), 7)], survey)
    keys = [(("stays", 0), 7), (("goes", 0), 7)]
    assert memory.times(keys, {("stays", 0): 10, ("goes", 0): 10}) == {keys[0]: NOW}
    assert memory.facts("stays") == (None, 1)
    assert memory.facts("goes") == (None, None)
    assert memory.moved("g", "stays", {0: 7}, 50.0) == 1.0
    assert memory.moved("g", "goes", {0: 7}, 50.0) == 50.0
