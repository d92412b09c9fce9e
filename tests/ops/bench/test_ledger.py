"""What a run received is what was sent, or the run has no figure."""

from collections.abc import Callable
from typing import Any

import pytest

from bus.event import partition_of
from ops.bench.addresses import KEYS, PARTITIONS, address, id_of, number_of
from ops.bench.ledger import Ledger, Tally, check_ids, expected, record
from ops.bench.model import Unverified

pytestmark = pytest.mark.slow

COUNT = KEYS + 5
"""Enough that some keys have two events."""

Event = tuple[int, str, str, dict[str, Any]]
Events = list[Event]


def event(n: int) -> Event:
    key = address(n)["address_id"]
    return partition_of(key, PARTITIONS), key, id_of(n), address(n)


def events() -> Events:
    return [event(n) for n in range(COUNT)]


def lost(found: Events) -> None:
    del found[17]


def repeated(found: Events) -> None:
    found.insert(18, found[17])


def repeated_in_place_of_another(found: Events) -> None:
    found[18] = found[17]


def reordered(found: Events) -> None:
    found[3], found[KEYS + 3] = found[KEYS + 3], found[3]


def neighbours_reordered(found: Events) -> None:
    """Two events of different keys that follow each other in their partition."""
    one = found[17][0]
    other = next(n for n in range(18, COUNT) if found[n][0] == one)
    found[17], found[other] = found[other], found[17]


def batch_reversed(found: Events) -> None:
    found[-500:] = found[:-501:-1]


def altered(found: Events) -> None:
    found[17][3]["street"] = "Strasse 17"


def nulled(found: Events) -> None:
    found[14][3]["suffix"] = None


def renamed(found: Events) -> None:
    found[17] = (*found[17][:2], id_of(18), found[17][3])


def moved_to_another_key(found: Events) -> None:
    found[17] = (found[17][0], "DEBE-unknown", *found[17][2:])


def moved_to_another_partition(found: Events) -> None:
    found[17] = ((found[17][0] + 1) % PARTITIONS, *found[17][1:])


def moved_to_an_unknown_partition(found: Events) -> None:
    found[17] = (PARTITIONS, *found[17][1:])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lost, "10004 events came, 10005 should have", id="an event is lost"),
        pytest.param(repeated, "10006 events came", id="an event is repeated"),
        pytest.param(repeated_in_place_of_another, "what came of", id="repeated, another one lost"),
        pytest.param(
            reordered, "what came of 1 partitions .* order", id="two of a key are swapped"
        ),
        pytest.param(
            neighbours_reordered, "what came of 1 partitions", id="two of a partition are swapped"
        ),
        pytest.param(batch_reversed, "what came of 3 partitions", id="a batch is reversed"),
        pytest.param(altered, "what came of 1 partitions", id="a field is altered"),
        pytest.param(nulled, "what came of 1 partitions", id="a field became null"),
        pytest.param(renamed, "what came of 1 partitions", id="an event has another one's id"),
        pytest.param(moved_to_another_key, "what came of 1 partitions", id="a key is unknown"),
        pytest.param(
            moved_to_another_partition, "what came of 2 partitions", id="in another partition"
        ),
        pytest.param(
            moved_to_an_unknown_partition, "unknown, such as 3", id="in an unknown partition"
        ),
    ],
)
def test_spoilt_events_are_found(spoil: Callable[[Events], None], says: str) -> None:
    found, ledger = events(), Ledger()
    spoil(found)
    for one in found:
        ledger.add(*one)
    with pytest.raises(Unverified, match=says):
        ledger.check(expected(COUNT))


def test_events_as_they_were_sent_pass() -> None:
    ledger = Ledger()
    for one in events():
        ledger.add(*one)
    ledger.check(expected(COUNT))


def test_order_between_partitions_does_not_matter() -> None:
    found, ledger = events(), Ledger()
    found.sort(key=lambda one: one[0])
    for one in found:
        ledger.add(*one)
    ledger.check(expected(COUNT))


def test_an_id_tells_the_number() -> None:
    assert [number_of(id_of(n)) for n in (0, 1, 123_456_789)] == [0, 1, 123_456_789]


def test_an_id_that_is_there_twice_is_found() -> None:
    with pytest.raises(Unverified, match="3 events have 2 different ids"):
        check_ids(["a", "b", "a"], 3)


RECORDS = 100


def dealt() -> list[list[bytes]]:
    return [[record(n) for n in range(p, RECORDS, PARTITIONS)] for p in range(PARTITIONS)]


def tallied(partitions: list[list[bytes]], piece: int) -> Tally:
    tally = Tally()
    for number, values in enumerate(partitions):
        for start in range(0, len(values), piece):
            tally.add(number, values[start : start + piece])
    return tally


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_records_pass_however_they_are_cut(piece: int) -> None:
    tallied(dealt(), piece).check(RECORDS, PARTITIONS)


def drop(partitions: list[list[bytes]]) -> None:
    del partitions[1][4]


def twice(partitions: list[list[bytes]]) -> None:
    partitions[1].insert(4, partitions[1][4])


def swap(partitions: list[list[bytes]]) -> None:
    partitions[1][4], partitions[1][5] = partitions[1][5], partitions[1][4]


def flip(partitions: list[list[bytes]]) -> None:
    partitions[1][4] = partitions[1][4][:-1] + b"\xff"


def misplace(partitions: list[list[bytes]]) -> None:
    partitions[1][4], partitions[2][4] = partitions[2][4], partitions[1][4]


def go_elsewhere(partitions: list[list[bytes]]) -> None:
    partitions.append([partitions[1].pop()])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(drop, "99 records came, 100 should have", id="a record is lost"),
        pytest.param(twice, "101 records came", id="a record is repeated"),
        pytest.param(swap, "what came of 1 sources", id="two of a partition are swapped"),
        pytest.param(flip, "what came of 1 sources", id="a byte is altered"),
        pytest.param(misplace, "what came of 2 sources", id="two are in each other's partition"),
        pytest.param(go_elsewhere, "unknown, such as 3", id="one is in a partition of no concern"),
    ],
)
def test_spoilt_records_are_found(spoil: Callable[[list[list[bytes]]], None], says: str) -> None:
    partitions = dealt()
    spoil(partitions)
    with pytest.raises(Unverified, match=says):
        tallied(partitions, 10).check(RECORDS, PARTITIONS)
