"""The audit log: one line for what is denied, and no more than a minute bears."""

import pytest

from bus.audit import MOST_KINDS, MOST_OF_ONE
from bus.broker.security.audit import Audit
from bus.telemetry import Telemetry
from tests.clock import Clock

SECOND_DENIAL = ("User:a", "10.0.0.1", "READ", ("TOPIC", "x"), "FETCH")


@pytest.fixture
def audit(clock: Clock, telemetry: Telemetry) -> Audit:
    """An audit log."""
    return Audit(telemetry, clock=clock)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, and forget it."""
    told = [record.getMessage() for record in caplog.records if record.name == "stadtbus.audit"]
    caplog.clear()
    return told


def test_a_denial(audit: Audit, caplog: pytest.LogCaptureFixture, telemetry: Telemetry) -> None:
    """A denial says who, from where, what, on what, by which API."""
    audit.denied("User:a", "10.0.0.1", "WRITE", ("TOPIC", "x"), "PRODUCE")
    (line,) = lines(caplog)
    assert line == (
        'denied principal="User:a" host="10.0.0.1" operation=WRITE resource=TOPIC name="x" '
        "api=PRODUCE"
    )
    assert b'stadtbus_denials_total{api="produce"} 1.0' in telemetry.exposition()


def test_repeats(audit: Audit, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """What is denied again is told with its count after a minute; each is counted."""
    for _ in range(1000):
        audit.denied(*SECOND_DENIAL)
    assert len(lines(caplog)) == 1
    audit.flush()
    assert lines(caplog) == []
    clock.now = 60.0
    audit.flush()
    (line,) = lines(caplog)
    assert line.endswith("api=FETCH repeated=999")
    clock.now = 120.0
    audit.flush()
    assert lines(caplog) == []
    audit.denied(*SECOND_DENIAL)
    assert len(lines(caplog)) == 1


def test_many_kinds(audit: Audit, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Who tries many names fills neither memory nor disk."""
    for number in range(3 * MOST_OF_ONE):
        audit.denied("User:a", "10.0.0.1", "READ", ("TOPIC", f"x{number}"), "FETCH")
    told = lines(caplog)
    assert len(told) == MOST_OF_ONE + 1
    assert told[-1] == 'too many different lines to tell each: denied "User:a"'
    clock.now = 60.0
    audit.flush()
    (line,) = lines(caplog)
    assert line.endswith(f"repeated={2 * MOST_OF_ONE - 1}")


def test_many_hosts(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    """Nor does who comes from many addresses."""
    for number in range(3 * MOST_KINDS):
        audit.refused("x", f"10.0.{number}", "PLAIN", "wrong password")
    told = lines(caplog)
    assert len(told) == MOST_KINDS + 1
    assert told[-1] == "too many different lines to tell each: login"


def test_nobody_hides_in_anothers_noise(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever strangers try, and others who may not: a denial is told."""
    for number in range(2 * MOST_KINDS):
        audit.refused(f"x{number}", f"10.0.{number % 20}", "PLAIN", "wrong password")
        audit.denied("User:b", "10.0.0.1", "READ", ("TOPIC", f"x{number}"), "FETCH")
    caplog.clear()
    audit.denied(*SECOND_DENIAL)
    (line,) = lines(caplog)
    assert line.startswith('denied principal="User:a"')


@pytest.mark.parametrize("sign", ["\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\U000e0001"])
def test_signs_that_are_not_printed(
    audit: Audit, caplog: pytest.LogCaptureFixture, sign: str
) -> None:
    """What ends a line, directs a terminal or turns the writing is escaped."""
    audit.refused(f"x{sign}y\u00e4", "10.0.0.1", "PLAIN", "wrong password")
    (line,) = lines(caplog)
    assert line.isprintable()
    assert "y\u00e4" in line


def test_values_that_lie(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    """What a client calls itself can neither forge a line nor make it long."""
    audit.refused('x"\ndenied principal="User:b', "10.0.0.1", "PLAIN", "wrong password")
    audit.refused("y" * 10_000, "10.0.0.1", "PLAIN", "wrong password")
    first, second = lines(caplog)
    assert first == (
        'login refused user="x\\"\\ndenied principal=\\"User:b" host="10.0.0.1" mechanism=PLAIN '
        'reason="wrong password"'
    )
    assert len(second) < 400


def test_logins(audit: Audit, telemetry: Telemetry) -> None:
    """Logins are counted by their outcome."""
    audit.admitted("PLAIN")
    audit.refused("x", "10.0.0.1", "PLAIN", "wrong password")
    exposition = telemetry.exposition()
    assert b'stadtbus_logins_total{mechanism="PLAIN",outcome="ok"} 1.0' in exposition
    assert b'stadtbus_logins_total{mechanism="PLAIN",outcome="refused"} 1.0' in exposition
