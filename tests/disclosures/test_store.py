"""The copy of disclosures that answers questions."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bus.disclosures import Disclosure
from bus.disclosures.question import Found, Mark, Question
from bus.disclosures.store import AT_ONCE, FILE, Reach, Store
from bus.errors import InvalidInput, StorageUnusable
from tests.disclosures.told import CONTRACT, NOON, PERLESREUT, RINGELAI, TAX, WATER, event_id, told

DAY = date(2026, 7, 1)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """An empty store."""
    found = Store(tmp_path)
    yield found
    found.close()


ALL = [
    told(1),
    told(2, recipient=WATER, purposes=("water",)),
    told(3, owner=PERLESREUT, subject="person-1"),
    told(4, owner=PERLESREUT, recipient=WATER, purposes=("tax", "water"), topic="a.b.v1"),
    told(5, fields=(), offset=None, subject="person-1"),
    told(6, owner=TAX, recipient=TAX),
]


def kept(store: Store, disclosures: list[Disclosure], *, offset: int = 0) -> None:
    store.add(2, [(offset, disclosures)], offset + 1)


def numbers(store: Store, question: Question, **more: Any) -> list[int]:
    found = store.find(question, **{"most": 100, **more}).found
    return [one.disclosure.at_ms - NOON for one in found]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question(), [6, 5, 4, 3, 2, 1]),
        (Question(subject="person-1"), [5, 3, 1]),
        (Question(owner=RINGELAI, subject="person-1"), [5, 1]),
        (Question(recipient=WATER), [4, 2]),
        (Question(purpose="water"), [4, 2]),
        (Question(purpose="tax"), [6, 5, 4, 3, 1]),
        (Question(purpose="t"), []),
        (Question(topic="a.b.v1"), [4]),
        (Question(event=event_id(3)), [3]),
        (Question(since_ms=NOON + 2, until_ms=NOON + 5), [4, 3, 2]),
        (Question(owner=RINGELAI, recipient=WATER, purpose="tax"), []),
        (Question(member=RINGELAI), [5, 2, 1]),
        (Question(member=TAX), [6, 5, 3, 1]),
        (Question(member=WATER, event=event_id(4)), [4]),
        (Question(member=WATER, event=event_id(3)), []),
        # A recipient does not know the sources' names, and cannot find out by asking.
        (Question(member=TAX, subject="person-1"), []),
        (Question(member=PERLESREUT, subject="person-1"), [3]),
        (Question(member="de.mun.1"), []),
    ],
)
def test_questions(store: Store, question: Question, expected: list[int]) -> None:
    kept(store, ALL)
    assert numbers(store, question) == expected


def test_what_was_told_is_found_as_it_was(store: Store) -> None:
    kept(store, ALL)
    assert [one.disclosure for one in store.find(Question(), 100).found] == ALL[::-1]


@pytest.mark.parametrize("member", [None, TAX, RINGELAI])
@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_parts_follow_each_other(store: Store, most: int, member: str | None) -> None:
    same = [told(n, at_ms=NOON + n // 5) for n in range(20)]
    for offset in range(2):
        kept(store, same, offset=offset)
    whole = store.find(Question(member=member), 100).found
    assert len(whole) == 40
    found: list[Found] = []
    part = store.find(Question(member=member), most)
    while part.following is not None:
        assert len(part.found) == most
        found += part.found
        part = store.find(Question(member=member), most, Mark.read(str(part.following)))
    assert [*found, *part.found] == whole


def test_what_is_read_twice_is_there_once(store: Store) -> None:
    kept(store, ALL)
    kept(store, ALL)
    kept(store, ALL[:1], offset=1)
    assert len(store.find(Question(), 100).found) == len(ALL) + 1


def test_it_knows_where_it_stands(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.reach() == Reach("", {})
    store.begin("topic-1")
    kept(store, ALL, offset=16)
    store.close()
    again = Store(tmp_path)
    assert again.reach() == Reach("topic-1", {2: 17})
    assert len(again.find(Question(), 100).found) == len(ALL)
    again.begin("topic-2")
    assert again.reach() == Reach("topic-2", {})
    assert again.find(Question(), 100).found == []
    again.close()


def test_a_day_is_told_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.disclosures.store.AT_ONCE", 2)
    midnight = NOON - NOON % 86_400_000
    times = [midnight - 1, midnight, NOON, midnight + 86_399_999, midnight + 86_400_000]
    kept(store, [told(n, at_ms=at) for n, at in enumerate(times)])
    assert [one.at_ms for one in store.of_day(DAY, Question(owner=RINGELAI))] == times[3:0:-1]
    assert [*store.of_day(DAY, Question(owner=PERLESREUT))] == []


def test_what_had_its_time_is_gone_from_the_disk(store: Store, tmp_path: Path) -> None:
    named = [told(n, subject=f"resident-{n}-of-old") for n in range(AT_ONCE + 10)]
    kept(store, [*named, told(10_000, subject="resident-of-today")])
    assert store.forget(NOON + AT_ONCE + 10) == AT_ONCE + 10
    assert numbers(store, Question()) == [10_000]
    left = b"".join(file.read_bytes() for file in tmp_path.glob(f"{FILE}*"))
    assert b"resident-of-today" in left
    assert b"-of-old" not in left


def test_nobody_else_reads_the_file(store: Store, tmp_path: Path) -> None:
    kept(store, ALL)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert FILE in modes
    assert set(modes.values()) == {0o600}


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database, " * 100)
    with pytest.raises(StorageUnusable, match="made anew from its topic") as caught:
        Store(tmp_path)
    assert FILE in caught.value.where


@pytest.mark.parametrize("text", ["", "1.2.3", "1.2.3.x", "1.2.3.-4", "1.2.3.4.5", "9" * 30])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no place among disclosures"):
        Mark.read(text)


def test_an_event_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="a UUID"):
        store.find(Question(event="12"), 1)


def test_an_index_has_each_answer(store: Store) -> None:
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    for question in (
        Question(),
        Question(member=TAX),
        Question(member=TAX, purpose="tax", topic=CONTRACT),
        Question(owner=RINGELAI, since_ms=NOON),
        Question(member=RINGELAI, subject="person-1"),
        Question(member=TAX, recipient=TAX, event=event_id(1)),
    ):
        store.find(question, 10, Mark(NOON, 0, 0, 0))
    selects = [one for one in asked if "from told" in one]
    assert len(selects) == 9
    store._connection.set_trace_callback(None)
    for select in selects:
        plan = [row[3] for row in store._connection.execute(f"explain query plan {select}")]
        assert "USING INDEX" in plan[0], (select, plan)
        if "told.event = x'" in select.lower():
            assert "told_event" in plan[0], (select, plan)
        else:
            assert not any("TEMP B-TREE" in step for step in plan), (select, plan)
