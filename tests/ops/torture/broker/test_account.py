"""Whether what is there is what was acknowledged: every broken promise has a sentence."""

import pytest

from ops.torture.broker.account import (
    Account,
    Committed,
    Committing,
    Created,
    Deleted,
    Deleting,
    Ended,
    Ending,
    Entry,
    Event,
    Found,
    Sent,
    Stored,
)

PLAIN = [Sent(0, b"a"), Stored(0, b"a", 0), Sent(0, b"b"), Stored(0, b"b", 1)]
GROUP = [Committing("g", 5), Committed("g", 5), Committing("g", 6)]
WHOLE = [
    Sent(0, b"x", "t:1"),
    Stored(0, b"x", 0),
    Sent(1, b"y", "t:1"),
    Stored(1, b"y", 0),
    Ending("t:1", True, "t", 1),
]
ENDED = [*WHOLE, Ended("t:1")]


def entry(offset: int, value: bytes, sequence: int = -1) -> Entry:
    return Entry(offset, value, 7 if sequence >= 0 else -1, 0, sequence)


def found(*logs: list[Entry], visible: list[list[bytes]] | None = None, **positions: int) -> Found:
    seen = visible or [[one.value or b"" for one in log] for log in logs]
    return Found(log=dict(enumerate(logs)), visible=dict(enumerate(seen)), positions=positions)


def with_topic(name: str) -> Found:
    return Found(log={}, visible={}, positions={}, topics={name})


XY = ([entry(0, b"x")], [entry(0, b"y")])


@pytest.mark.parametrize(
    ("happened", "there", "broken"),
    [
        pytest.param(PLAIN, found([entry(0, b"a"), entry(1, b"b")]), "", id="all is there"),
        pytest.param(PLAIN[:3], found([entry(0, b"a")]), "", id="what was not acknowledged is not"),
        pytest.param(
            PLAIN[:3], found([entry(0, b"a"), entry(1, b"b")]), "", id="it is there all the same"
        ),
        pytest.param(PLAIN, found([entry(0, b"a")]), "b'b' is lost", id="lost"),
        pytest.param(
            PLAIN, found([entry(0, b"b"), entry(1, b"a")]), "is lost", id="in another place"
        ),
        pytest.param(PLAIN[:2], found([entry(0, b"a"), entry(2, b"a")]), "gaps", id="a gap"),
        pytest.param(
            PLAIN[:2], found([entry(0, b"a"), entry(1, b"a")]), "2 times", id="stored twice"
        ),
        pytest.param(
            PLAIN,
            found([entry(0, b"a", 3), entry(1, b"b", 3)]),
            "stored 2 times",
            id="one sequence number twice",
        ),
        pytest.param([], found([entry(0, b"z")]), "nobody sent b'z'", id="from nowhere"),
        pytest.param(
            PLAIN[:2], found([entry(0, b"a")], visible=[[]]), "not seen", id="there and hidden"
        ),
        pytest.param(GROUP, found(g=5), "", id="a position"),
        pytest.param(GROUP, found(g=6), "", id="a position that was not acknowledged"),
        pytest.param(GROUP, found(g=4), "group g: 5 was committed, 4", id="a position goes back"),
        pytest.param(GROUP, found(), "group g: 5 was committed, -1", id="a position is lost"),
        pytest.param(GROUP, found(g=7), "group g: 5 was committed, 7", id="a position of nobody's"),
        pytest.param(ENDED, found(*XY, t=1), "", id="a transaction"),
        pytest.param(WHOLE, found(*XY, t=1), "", id="a transaction that may be there is"),
        pytest.param(WHOLE, found(*XY, visible=[[], []]), "", id="and one that may not is not"),
        pytest.param(
            WHOLE, found(*XY, visible=[[b"x"], []], t=1), "torn: 1 of 2", id="a torn transaction"
        ),
        pytest.param(ENDED, found(*XY, visible=[[], []]), "t:1 is lost", id="a lost transaction"),
        pytest.param(ENDED, found(*XY), "its transactions say 1", id="its position is lost"),
        pytest.param(
            WHOLE,
            found(*XY, visible=[[], []], t=1),
            "its transactions say None",
            id="its position alone is there",
        ),
        pytest.param(
            WHOLE[:4], found(*XY), "was not committed, and 2", id="seen before it is committed"
        ),
        pytest.param(
            [*WHOLE[:4], Ending("t:1", False)], found(*XY), "not committed", id="seen once aborted"
        ),
        pytest.param([Created("d")], found(), "topic d is lost", id="a lost topic"),
        pytest.param([Created("d"), Deleting("d")], found(), "", id="a topic that may be gone"),
        pytest.param(
            [Created("d"), Deleting("d"), Deleted("d")], with_topic("d"), "back", id="a topic back"
        ),
        pytest.param([Created("d"), Deleting("d")], with_topic("d"), "", id="and may be there"),
    ],
)
def test_what_is_there(happened: list[Event], there: Found, broken: str) -> None:
    account = Account()
    for event in happened:
        account.note(event)
    breaches = account.breaches(there)
    assert any(broken in one for one in breaches) if broken else not breaches, breaches
