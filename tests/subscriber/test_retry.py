"""Patience, without waiting."""

import pytest

from bus.errors import BadEvent, BusUnavailable
from bus.subscriber.retry import DeadLetter, Pause, RetryAfter, RetryPolicy

POLICY = RetryPolicy(first=0.5, longest=3.0, limit=6, pause=60.0)
DOWN = BusUnavailable("database is down")


@pytest.mark.parametrize(
    ("error", "attempt", "decision"),
    [
        pytest.param(DOWN, 1, RetryAfter(0.5), id="first: a short wait"),
        pytest.param(DOWN, 2, RetryAfter(1.0), id="second: twice as long"),
        pytest.param(DOWN, 5, RetryAfter(3.0), id="never longer than the longest"),
        pytest.param(
            DOWN,
            6,
            Pause(60.0, "failed 6 times in a row, at last: BusUnavailable: database is down"),
            id="at the limit: a pause that says why",
        ),
        pytest.param(BadEvent("no"), 1, DeadLetter("no"), id="a bad event: dead letter at once"),
        pytest.param(
            BadEvent("no", where="thing"), 6, DeadLetter("thing: no"), id="also at the limit"
        ),
    ],
)
def test_what_follows_a_failure(error: Exception, attempt: int, decision: object) -> None:
    assert POLICY.decide(error, attempt) == decision
