"""What is to be kept is there, and the rest is gone, whenever a broker is killed at its upkeep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ops.torture.broker.account import Entry
from ops.torture.broker.upkeep import LARGEST, LAST, blocks, compacted, upkeep


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_broker_is_killed_while_it_deletes_and_compacts(tmp_path: Path, seed: int) -> None:
    outcome = await upkeep(tmp_path, seed, seconds=6.0, between=2.0)
    assert not outcome.breaches
    assert outcome.kills >= 3
    assert 0 < outcome.largest < LARGEST


def entry(offset: int, value: bytes | None, key: bytes | None = None) -> Entry:
    return Entry(offset, value, -1, -1, -1, key)


def block(offset: int, number: int) -> Entry:
    return entry(offset, number.to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("found", "written", "sentence"),
    [
        pytest.param([block(8, 7), block(9, 8)], 9, None, id="the first are deleted"),
        pytest.param([block(8, 7), block(9, 7), block(10, 8)], 9, None, id="one was sent again"),
        pytest.param([block(8, 7), block(9, 8)], 8, None, id="one was not acknowledged yet"),
        pytest.param([], 9, "it is empty", id="all are gone"),
        pytest.param([block(8, 7), block(10, 8)], 9, "there are holes", id="an offset is missing"),
        pytest.param([block(8, 6), block(9, 8)], 9, "a record is missing", id="a record is"),
        pytest.param([block(8, 6), block(9, 7)], 9, "record 7 is the last of 9", id="the last is"),
        pytest.param([block(98, 99)], 100, "are left of", id="too much is deleted"),
    ],
)
def test_a_log_begins_later_and_goes_on_without_a_hole(
    found: Sequence[Entry], written: int, sentence: str | None
) -> None:
    wrong = blocks(LAST, found, written)
    assert wrong == [] if sentence is None else sentence in wrong[0]


@pytest.mark.parametrize(
    ("found", "states", "sentence"),
    [
        pytest.param([entry(3, b"b", b"k")], {b"k": b"b"}, None, id="the last value stays"),
        pytest.param(
            [entry(1, b"a", b"k"), entry(3, b"b", b"k")], {b"k": b"b"}, None, id="not compacted yet"
        ),
        pytest.param([], {b"k": None}, None, id="a tombstone may be gone"),
        pytest.param([entry(3, None, b"k")], {b"k": None}, None, id="or be there"),
        pytest.param([], {b"k": b"b"}, "key k", id="a value is gone"),
        pytest.param([entry(1, b"a", b"k")], {b"k": b"b"}, "key k", id="an older one stays"),
        pytest.param([entry(1, b"a", b"k")], {b"k": None}, "key k", id="one that was deleted does"),
        pytest.param([entry(1, b"a", b"k")], {}, "key k", id="one that nobody wrote is there"),
        pytest.param(
            [entry(3, b"b", b"k"), entry(1, b"c", b"l")],
            {b"k": b"b", b"l": b"c"},
            "not in order",
            id="offsets are exchanged",
        ),
    ],
)
def test_of_each_key_the_last_value_is_there(
    found: Sequence[Entry], states: Mapping[bytes, bytes | None], sentence: str | None
) -> None:
    wrong = compacted(found, states)
    assert wrong == [] if sentence is None else sentence in wrong[0]
