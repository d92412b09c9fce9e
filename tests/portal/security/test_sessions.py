"""Sessions by the clock: idle, too old, too many."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bus.portal.security.database import Database
from bus.portal.security.sessions import MOST_OF_ONE, TOUCH_SECONDS, Person, Sessions
from bus.portal.viewer import Role

IDLE, LONGEST = 600.0, 3600.0
ANNA = Person(issuer="https://login", subject="a", name="Anna", role=Role.OPERATOR, id_token="t")
BERT = Person(issuer="https://login", subject="b", name="Anna", role=Role.VIEWER)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path)) as opened:
        yield opened


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database, idle=IDLE, longest=LONGEST)


def count(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.execute("select count(*) from session").fetchone()[0])


def test_it_lasts_while_it_is_used_but_not_for_ever(sessions: Sessions) -> None:
    begun, now = sessions.begin(ANNA, 0.0), 0.0
    while now + IDLE / 2 < LONGEST:
        now += IDLE / 2
        assert sessions.find(begun, now) == ANNA
    assert sessions.find(begun, LONGEST) is None


def test_it_ends_when_it_is_idle_and_does_not_come_back(
    sessions: Sessions, database: Database
) -> None:
    begun = sessions.begin(ANNA, 0.0)
    assert sessions.find(begun, IDLE - 1.0, used=False) == ANNA
    assert sessions.find(begun, IDLE) is None
    assert sessions.find(begun, 1.0) is None
    assert count(database) == 0


def test_a_page_that_follows_the_bus_does_not_keep_it(sessions: Sessions) -> None:
    begun = sessions.begin(ANNA, 0.0)
    for now in range(0, int(IDLE), int(TOUCH_SECONDS)):
        assert sessions.find(begun, float(now), used=False) == ANNA
    assert sessions.find(begun, IDLE, used=False) is None


def test_somebody_s_sessions_end_together_and_nobody_else_s(sessions: Sessions) -> None:
    mine, other = sessions.begin(ANNA, 0.0), sessions.begin(ANNA, 0.0)
    theirs = sessions.begin(BERT, 0.0)
    assert sessions.end(ANNA) == 2
    assert [sessions.find(one, 1.0) for one in (mine, other, theirs)] == [None, None, BERT]


def test_somebody_has_so_many_at_the_most(sessions: Sessions, database: Database) -> None:
    begun = [sessions.begin(ANNA, float(number)) for number in range(MOST_OF_ONE + 5)]
    assert count(database) == MOST_OF_ONE
    assert sessions.find(begun[4], 30.0) is None
    assert sessions.find(begun[5], 30.0) == ANNA


def test_those_that_have_ended_are_forgotten(sessions: Sessions, database: Database) -> None:
    sessions.begin(ANNA, 0.0)
    sessions.begin(BERT, LONGEST)
    assert count(database) == 1


def test_they_outlive_a_restart(tmp_path: Path, sessions: Sessions) -> None:
    begun = sessions.begin(ANNA, 0.0)
    with closing(Database(tmp_path)) as again:
        assert Sessions(again, idle=IDLE, longest=LONGEST).find(begun, 1.0) == ANNA


@pytest.mark.parametrize("secret", ["", "x", "é\x00", "x" * 100_000])
def test_what_is_no_session(sessions: Sessions, secret: str) -> None:
    sessions.begin(ANNA, 0.0)
    assert sessions.find(secret, 0.0) is None
