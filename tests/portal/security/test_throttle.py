"""Pauses grow, for the address and for the user, and are bounded."""

import pytest

from bus.security.throttle import (
    FORGOTTEN,
    FREE,
    LONGEST_ADDRESS,
    LONGEST_OF_ADDRESS,
    LONGEST_OF_USER,
    MOST,
    Throttle,
    network,
)
from tests.clock import Clock


def test_pauses_of_an_address_double_up_to_a_quarter_of_an_hour(clock: Clock) -> None:
    throttle = Throttle(clock)
    waits = []
    for number in range(FREE + 12):
        while (wait := throttle.attempt("192.0.2.1", f"user{number}")) > 0:
            waits.append(wait)
            clock.now += wait
    assert waits == [2.0**power for power in range(10)] + [LONGEST_OF_ADDRESS] * 2


def test_a_user_can_be_kept_out_for_a_minute_at_the_most(clock: Clock) -> None:
    throttle = Throttle(clock)
    for number in range(50):
        while (wait := throttle.attempt(f"192.0.2.{number}", "anna")) > 0:
            assert wait <= LONGEST_OF_USER
            clock.now += wait
    assert throttle.attempt("198.51.100.1", "anna") == LONGEST_OF_USER
    assert throttle.attempt("198.51.100.1", "bert") == 0


def test_many_attempts_at_once_are_no_way_around(clock: Clock) -> None:
    throttle = Throttle(clock)
    admitted = [throttle.attempt("192.0.2.1", "anna") == 0 for _ in range(100)]
    assert sum(admitted) == FREE


def test_who_gets_in_starts_anew_but_their_address_does_not(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(FREE - 1):
        throttle.attempt("192.0.2.1", "anna")
    assert throttle.attempt("192.0.2.1", "mallory") == 0
    throttle.succeeded("192.0.2.1", "mallory")
    assert throttle.attempt("192.0.2.1", "bert") == 0
    assert throttle.attempt("192.0.2.1", "mallory") > 0
    assert throttle.attempt("192.0.2.2", "mallory") == 0


def test_in_a_user_s_own_browser_only_what_fails_there_counts(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(FREE):
        throttle.attempt("192.0.2.1", "anna")
    assert throttle.attempt("192.0.2.1", "anna") > 0
    for _ in range(FREE):
        assert throttle.attempt("192.0.2.1", "anna", "hers") == 0
    assert throttle.attempt("192.0.2.1", "anna", "hers") > 0
    assert throttle.attempt("192.0.2.1", "anna", "her other") == 0
    throttle.succeeded("192.0.2.1", "anna", "hers")
    assert throttle.attempt("192.0.2.1", "anna", "hers") == 0
    assert throttle.attempt("192.0.2.1", "anna") > 0


def test_failures_are_forgotten(clock: Clock) -> None:
    throttle = Throttle(clock)
    for _ in range(FREE):
        throttle.attempt("192.0.2.1", "anna")
    assert throttle.attempt("192.0.2.1", "anna") > 0
    clock.now += FORGOTTEN
    assert throttle.attempt("192.0.2.1", "anna") == 0


def test_memory_is_bounded(clock: Clock) -> None:
    throttle = Throttle(clock)
    for number in range(MOST + 100):
        throttle.attempt(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}", f"u{number}")
    assert len(throttle._users._known) == len(throttle._addresses._known) == MOST


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("", ""),
        ("x" * 1000, "x" * LONGEST_ADDRESS),
    ],
)
def test_whose_an_address_is(address: str, whose: str) -> None:
    assert network(address) == whose
