"""What is given back to the file system, and when."""

import sqlite3
import time
from pathlib import Path

import pytest

from bus.broker.housekeeping import VACUUM_PAGES, Housekeeping
from bus.broker.storage.database import connect, create
from bus.broker.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A database with two hundred pages that are in use and as many that are free."""
    path = tmp_path / "broker.db"
    create(path)
    store = Store(path)
    for position in range(200):
        store._db.execute("insert into log values (?, 0, 0, 0, 0, zeroblob(30000))", (position,))
    store._db.execute("delete from log where position < 100")
    return store


def steps(keeping: Housekeeping) -> int:
    """Do what is due and return in how many steps."""
    count = 0
    while keeping.wait() == 0.0:
        keeping.step(idle=True)
        count += 1
    return count


def test_a_step_gives_back_so_many_pages_and_no_more(store: Store) -> None:
    free, pages = store.pages.free(), store.pages.count()
    assert store.pages.vacuum(VACUUM_PAGES)
    assert (store.pages.free(), store.pages.count()) == (free - VACUUM_PAGES, pages - VACUUM_PAGES)


def test_a_fifth_of_the_file_may_stay_free(store: Store) -> None:
    before = store.path.stat().st_size
    steps(Housekeeping(store, 0))
    assert 0 < store.pages.free() <= 0.2 * store.pages.count() + VACUUM_PAGES
    assert store.path.stat().st_size < before
    assert store.path.with_name("broker.db-wal").stat().st_size == 0


def test_where_space_is_scarce_all_of_it_is_given_back(store: Store) -> None:
    steps(Housekeeping(store, 2**60))
    assert store.pages.free() == 0


def test_free_pages_count_as_space(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.broker.housekeeping.shutil.disk_usage", lambda _: Nothing)
    free = store.pages.free_bytes()
    assert Housekeeping(store, free).has_space()
    assert not Housekeeping(store, free + 1).has_space()


class Nothing:
    """The usage of a full disk."""

    free = 0


def test_nothing_is_moved_while_there_is_little_to_gain(store: Store) -> None:
    store._db.execute("insert into log values (0, 0, 0, 0, 0, zeroblob(2000000))")
    pages = store.pages.count()
    assert store.pages.free() > VACUUM_PAGES
    steps(Housekeeping(store, 0))
    assert store.pages.count() == pages


def test_while_there_is_produce_steps_keep_their_distance(store: Store) -> None:
    keeping = Housekeeping(store, 0)
    keeping.step(idle=True)
    pages = store.pages.count()
    keeping.step(idle=False)
    assert store.pages.count() == pages


def test_a_reader_in_the_way_holds_nobody_up(store: Store) -> None:
    reader = connect(store.path)
    reader.execute("begin")
    reader.execute("select count(*) from log").fetchone()
    keeping = Housekeeping(store, 0)
    started = time.perf_counter()
    steps(keeping)
    assert time.perf_counter() - started < 5
    assert (keeping.wait() or 0.0) > 0
    reader.execute("commit")
    assert store.pages.fold()


def test_a_step_that_fails_is_tried_again_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: int) -> bool:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(store.log, "purge", full)
    keeping = Housekeeping(store, 0)
    assert steps(keeping) == 1
    assert (keeping.wait() or 0.0) > 0
    assert "disk is full" in caplog.text


def test_what_a_killed_broker_had_deleted_leaves_the_write_ahead_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.broker.housekeeping.FOLD_AFTER", 0.0)
    log = store.path.with_name("broker.db-wal")
    steps(Housekeeping(store, 0, overwrite=False))
    store._db.execute("delete from log where position = 100")
    assert log.stat().st_size > 0
    kept = Housekeeping(store, 0)
    steps(kept)
    assert log.stat().st_size == 0
    assert kept.wait() is None
