"""Every kind of broken promise is found, and none where all was kept."""

import pytest

from ops.torture.judgement import (
    Delivery,
    Hands,
    Promise,
    State,
    Written,
    by_key,
    chain,
    effects,
    longest_gap,
    reading,
    repeats,
)

SENT = {"a": ["1", "2", "3"], "b": ["7"]}


@pytest.mark.parametrize(
    ("read", "promises"),
    [
        pytest.param({"a": ["1", "2", "3"], "b": ["7"]}, [], id="all, in order"),
        pytest.param(
            {"a": ["1", "2", "1", "2", "3"], "b": ["7"]}, [], id="a repeat is no disorder"
        ),
        pytest.param({"a": ["1", "0", "2", "3"], "b": ["7"]}, [], id="others may be between"),
        pytest.param({"a": ["1", "3"], "b": ["7"]}, [Promise.LOST], id="one is missing"),
        pytest.param({"a": ["1", "2", "3"]}, [Promise.LOST], id="a key is missing"),
        pytest.param(
            {"a": ["1", "1", "3"], "b": ["7"]}, [Promise.LOST], id="a repeat hides no loss"
        ),
        pytest.param(
            {"a": ["2", "1", "3"], "b": ["7"]}, [Promise.REORDERED], id="two changed places"
        ),
        pytest.param(
            {"a": ["3", "2"], "b": ["7"]},
            [Promise.LOST, Promise.REORDERED],
            id="one is missing and two changed places",
        ),
        pytest.param(
            {"a": ["2", "1", "2", "3"], "b": ["7"]},
            [Promise.REORDERED],
            id="a repeat in the right place does not put the first right",
        ),
    ],
)
def test_reading(read: dict[str, list[str]], promises: list[Promise]) -> None:
    assert [breach.promise for breach in reading("topic", SENT, read)] == promises


@pytest.mark.parametrize(
    ("topic", "promise"),
    [
        pytest.param({"1", "2", "3", "7"}, Promise.LATE, id="it is in the topic"),
        pytest.param({"1", "3", "7"}, Promise.LOST, id="it is not"),
    ],
)
def test_what_a_handler_misses(topic: set[str], promise: Promise) -> None:
    (breach,) = reading("handler", SENT, {"a": ["1", "3"], "b": ["7"]}, topic)
    assert (breach.promise, breach.what) == (promise, "a 2")


@pytest.mark.parametrize(
    ("topic", "promises"),
    [
        pytest.param({"1", "2", "3", "4", "5"}, [Promise.LATE], id="all of it is in the topic"),
        pytest.param({"1", "2", "3", "4"}, [Promise.LATE, Promise.LOST], id="some of it is not"),
        pytest.param({"1", "2", "3"}, [Promise.LOST], id="nothing of it is"),
    ],
)
def test_what_a_table_misses_at_its_end(topic: set[str], promises: list[Promise]) -> None:
    breaches = effects("book", FIVE, {"a": [State(3, "3")]}, topic)
    assert [breach.promise for breach in breaches] == promises


@pytest.mark.parametrize(
    ("deliveries", "count", "promises"),
    [
        pytest.param([(1, "1"), (1, "2")], 0, [], id="no repeat"),
        pytest.param([(1, "1"), (2, "1")], 1, [], id="in other hands"),
        pytest.param([(1, "1"), (1, "1")], 1, [Promise.REPEATED], id="in the same hands"),
        pytest.param(
            [(1, "1"), (2, "1"), (1, "1")], 2, [Promise.REPEATED], id="in the same hands, later"
        ),
    ],
)
def test_repeats(deliveries: list[tuple[int, str]], count: int, promises: list[Promise]) -> None:
    seen = [Delivery(tenure, "a", id_) for tenure, id_ in deliveries]
    counted, breaches = repeats("handler", seen)
    assert (counted, [breach.promise for breach in breaches]) == (count, promises)


def test_what_reached_handlers_by_key() -> None:
    seen = [Delivery(1, "a", "1"), Delivery(1, "b", "7"), Delivery(2, "a", "2")]
    assert by_key(seen) == {"a": ["1", "2"], "b": ["7"]}


FIVE = {"a": ["1", "2", "3", "4", "5"]}


@pytest.mark.parametrize(
    ("states", "promises"),
    [
        pytest.param([(1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")], [], id="each once"),
        pytest.param([(2, "2"), (5, "5")], [], id="some in one transaction"),
        pytest.param([(2, "2"), (5, "5"), (5, "5")], [], id="a repeat that had no effect"),
        pytest.param([(2, "2"), (6, "5")], [Promise.APPLIED_TWICE], id="one too many"),
        pytest.param([(5, "5"), (6, "5")], [Promise.APPLIED_TWICE], id="the last one again"),
        pytest.param([(2, "2"), (4, "5")], [Promise.LOST], id="one too few"),
        pytest.param([(2, "2"), (4, "4")], [Promise.LOST], id="the last one is missing"),
        pytest.param([], [Promise.LOST], id="no row"),
        pytest.param(
            [(2, "2"), (3, "4"), (4, "4"), (5, "5")],
            [Promise.LOST, Promise.APPLIED_TWICE],
            id="a loss, and a repeat that makes the count right",
        ),
        pytest.param(
            [(2, "2"), (3, "2"), (5, "5")],
            [Promise.APPLIED_TWICE, Promise.LOST],
            id="a repeat, and a loss that makes the count right",
        ),
        pytest.param(
            [(4, "4"), (6, "3"), (8, "5")],
            [Promise.REORDERED, Promise.APPLIED_TWICE],
            id="read again from an older position",
        ),
        pytest.param(
            [(1, "1"), (2, "3"), (3, "2"), (4, "4"), (5, "5")],
            [Promise.LOST, Promise.REORDERED, Promise.APPLIED_TWICE],
            id="two changed places",
        ),
        pytest.param([(1, "0")], [Promise.INVENTED], id="an event that nobody announced"),
    ],
)
def test_effects(states: list[tuple[int, str]], promises: list[Promise]) -> None:
    seen = {"a": [State(*state) for state in states]}
    assert [breach.promise for breach in effects("book", FIVE, seen)] == promises


def test_a_row_that_nobody_announced_is_found() -> None:
    (breach,) = effects("book", {}, {"x": [State(1, "9")]})
    assert (breach.promise, breach.what) == (Promise.INVENTED, "x")


@pytest.mark.parametrize(
    ("moves", "tenures"),
    [
        pytest.param(["p a", "p a"], [1, 1], id="given back at once is no change of hands"),
        pytest.param(["p a", "p b"], [1, 2], id="another member's is one"),
        pytest.param(["p a", "p b", "p a"], [1, 2, 3], id="given back after another had it"),
        pytest.param(["p a", "q b", "p a"], [1, 2, 1], id="other partitions do not matter"),
        pytest.param(
            ["p a", "p lost", "p a"], [1, 2], id="given back, and its position was not stored"
        ),
        pytest.param(["p a", "q lost", "p a"], [1, 1], id="another one's position was not stored"),
    ],
)
def test_hands(moves: list[str], tenures: list[int]) -> None:
    hands, taken = Hands(), []
    for move in moves:
        place, member = move.split()
        if member == "lost":
            hands.lose(place)
        else:
            taken.append(hands.take(place, member))
    assert taken == tenures


ONE, TWO, OTHER = Written(1, "x", 1), Written(2, "y", 2), Written(2, "z", 2)
NONE, FILL = Written(0, "n", None), Written(2, "f", None)


@pytest.mark.parametrize(
    ("accepted", "readers", "promises"),
    [
        pytest.param([ONE, TWO], [[ONE, TWO], [ONE, TWO]], [], id="all agree"),
        pytest.param([ONE], [[ONE, TWO]], [], id="one that nobody was told of is there"),
        pytest.param([ONE], [[NONE, ONE, FILL]], [], id="entries that give no id"),
        pytest.param([ONE, TWO], [[ONE], [ONE]], [Promise.LOST], id="an accepted one is missing"),
        pytest.param([ONE], [[ONE], [ONE, TWO]], [Promise.DISAGREED], id="one has read more"),
        pytest.param([ONE], [[ONE, TWO], [ONE, OTHER]], [Promise.DISAGREED], id="other entries"),
        pytest.param(
            [ONE], [[ONE, Written(2, "y", 1)]], [Promise.GIVEN_TWICE], id="an id in two entries"
        ),
        pytest.param(
            [ONE, TWO],
            [[ONE, OTHER]],
            [Promise.LOST, Promise.GIVEN_TWICE],
            id="an id of a lost entry given again",
        ),
    ],
)
def test_chain(
    accepted: list[Written], readers: list[list[Written]], promises: list[Promise]
) -> None:
    assert [breach.promise for breach in chain("journal", accepted, readers)] == promises


@pytest.mark.parametrize(
    ("times", "gap"),
    [
        pytest.param([], 10.0, id="nothing at all"),
        pytest.param([1.0, 4.0, 9.0], 5.0, id="between two moments"),
        pytest.param([6.0], 6.0, id="at the beginning"),
        pytest.param([2.0, 3.0], 7.0, id="at the end"),
        pytest.param([-5.0, 2.0, 30.0], 8.0, id="what lies outside counts nothing"),
    ],
)
def test_longest_gap(times: list[float], gap: float) -> None:
    assert longest_gap(times, 0.0, 10.0) == gap
