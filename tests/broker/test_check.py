"""`stadtbus broker check`: what is whole is called whole, what is not is named, nothing changes."""

import asyncio
import errno
import random
import shutil
import sqlite3
import struct
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from crc32c import crc32c

from bus.broker import ApiKey
from bus.broker.check import Damage, check
from bus.broker.storage.log import seal
from bus.errors import NotFound, StorageUnusable
from tests.broker.raw import Raw, batch, produce_fields
from tests.broker.stores import RECORDS, UNPACKED, change, contents, fill, filled, made, tables


async def test_a_store_that_is_whole_is_called_whole_and_left_as_it_is(tmp_path: Path) -> None:
    database = await filled(tmp_path)
    before = contents(tmp_path)
    report = check(database, max_unpacked=UNPACKED)
    assert (report.damages, report.damage) == (0, [])
    assert (report.partitions, report.records, report.structure) == (3, RECORDS, True)
    assert contents(tmp_path) == before


async def test_what_a_crash_left_in_the_write_ahead_log_is_looked_at_too(tmp_path: Path) -> None:
    async with made(tmp_path / "a") as broker, await Raw.to(broker) as raw:
        await fill(raw)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "broker.db-shm").unlink()
    before = contents(tmp_path / "b")
    assert (tmp_path / "b" / "broker.db-wal").stat().st_size > 0
    report = check(tmp_path / "b" / "broker.db", max_unpacked=UNPACKED)
    assert (report.damages, report.records, report.structure) == (0, RECORDS, True)
    assert contents(tmp_path / "b") == before


async def test_beside_a_running_broker_all_but_the_structure_is_checked(tmp_path: Path) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await fill(raw)
        checking = asyncio.create_task(
            asyncio.to_thread(check, tmp_path / "broker.db", max_unpacked=UNPACKED)
        )
        while not checking.done():
            assert (await raw.produce("t", batch(b"meanwhile"))).base_offset >= 0
        report = await checking
        assert (report.damages, report.structure) == (0, False)
        assert report.records >= RECORDS


async def test_a_topic_that_is_deleted_while_it_is_written_to_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    async with made(tmp_path) as broker, await Raw.to(broker) as raw, await Raw.to(broker) as other:
        for number in range(10):
            await raw.create("t")
            for sequence in range(60):
                written = batch(b"x" * 100, producer=(1000 + number, 0, sequence))
                raw.send(ApiKey.PRODUCE, 9, **produce_fields("t", written))
            await other.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
            for _ in range(60):
                assert await raw.answer()
    assert check(tmp_path / "broker.db", max_unpacked=UNPACKED).damage == []


SHORT = {
    "$first": "$t0 and position & 1099511627775 = 0",
    "$t0": "position >> 40 = (select min(number) from partitions)",
}
"""The first row of the first topic's first partition, and all of that partition."""


def query(short: str) -> str:
    """Return a statement with what is short in it written out."""
    for name, whole in SHORT.items():
        short = short.replace(name, whole)
    return short


async def named(folder: Path, statement: str, what: str) -> list[Damage]:
    """Change a store that is whole; return the damages that are called so. It is left as it is."""
    database = await filled(folder)
    change(database, query(statement))
    before = contents(folder)
    report = check(database, max_unpacked=UNPACKED)
    assert contents(folder) == before
    found = [damage for damage in report.damage if what in damage.what]
    assert found, report.damage
    return found


@pytest.mark.parametrize(
    ("statement", "place", "what"),
    [
        pytest.param(
            "update log set batches = cast(substr(batches, 1, 70) || x'ff' || "
            "substr(batches, 72) as blob) where $first",
            ("t", 0, 0),
            "the batch fails its CRC-32C",
            id="a byte of a batch",
        ),
        pytest.param(
            "update log set checksum = checksum + 1 where $first",
            ("t", 0, 0),
            "own columns fail their checksum",
            id="a row's checksum",
        ),
        pytest.param(
            "update log set newest = newest + 1 where $first",
            ("t", 0, 0),
            "own columns fail their checksum",
            id="a row's time",
        ),
        pytest.param(
            "update log set batches = substr(batches, 1, 90) where $first",
            ("t", 0, 0),
            "a batch's header makes no sense",
            id="a batch that ends early",
        ),
        pytest.param(
            "update log set batches = 'text' where $first",
            ("t", 0, 0),
            "the row has no batches",
            id="a column of another type",
        ),
        pytest.param(
            "update log set next = 'text' where $first",
            ("t", 0, 0),
            "the row's columns are no numbers",
            id="a number that is none",
        ),
        pytest.param(
            "delete from log where $t0 and position & 1099511627775 = 3",
            ("t", 0, 3),
            "offsets 3 to 5 are not there",
            id="a row in the middle",
        ),
        pytest.param(
            "delete from log where $first",
            ("t", 0, 0),
            "offsets 0 to 2 are not there",
            id="the first row",
        ),
        pytest.param(
            "insert into log select 99 << 40, next, newest, checksum, seal, batches "
            "from log where $first",
            None,
            "rows of the log belong to partition 99",
            id="rows of nobody",
        ),
        pytest.param(
            "update producers set partition = 99",
            None,
            "producers are kept for partition 99",
            id="a producer of no partition",
        ),
        pytest.param(
            "update positions set ordinal = 7",
            None,
            "group g has a position in t/7",
            id="a position in no partition",
        ),
        pytest.param(
            "delete from partitions where ordinal = 0",
            None,
            "topic t has 1 partitions",
            id="a topic that lacks a partition",
        ),
        pytest.param(
            "delete from topics where name = 'u'",
            None,
            "belongs to topic 2, which is not there",
            id="a partition of no topic",
        ),
        pytest.param(
            "delete from meta where name = 'next_producer'",
            None,
            "the store's next_producer is not there",
            id="what the store must know",
        ),
    ],
)
async def test_what_is_damaged_is_named(
    tmp_path: Path, statement: str, place: tuple[str, int, int] | None, what: str
) -> None:
    found = await named(tmp_path, statement, what)
    assert place is None or found[0][:3] == place


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        pytest.param(
            "delete from log where position = (select max(position) from log where $t0)",
            "t/0 does not end at 15, as it did",
            id="the last row",
        ),
        pytest.param(
            "update positions set position = position + 1", "digest differs", id="a position"
        ),
        pytest.param(
            "alter table positions rename column note to nota", "table positions", id="a column"
        ),
    ],
)
async def test_what_nothing_refers_to_is_held_against_what_the_broker_left(
    tmp_path: Path, statement: str, what: str
) -> None:
    await named(tmp_path, statement, what)


SEED, FLIPS = 20261121, 150


async def test_a_bit_that_flipped_is_named_or_harmless(tmp_path: Path) -> None:
    database = await filled(tmp_path / "whole")
    whole, good = database.read_bytes(), tables(database)
    chance = random.Random(SEED)
    flipped = tmp_path / "flipped"
    seen = Counter[str]()
    for number in range(FLIPS):
        at = chance.randrange(len(whole))
        while number % 2 and not whole[at]:  # half of them where there is something
            at = chance.randrange(len(whole))
        one = bytearray(whole)
        one[at] ^= 1 << chance.randrange(8)
        flipped.write_bytes(one)
        try:
            outcome = "named" if check(flipped, max_unpacked=UNPACKED).damages else "harmless"
        except StorageUnusable:
            outcome = "refused"
        seen[outcome] += 1
        if outcome == "harmless":
            left = tables(flipped)
            # How a table was made is text; what counts of it is checked.
            assert left | {"schema": []} == good | {"schema": []}, f"seed {SEED}, byte {at}"
    assert seen["named"] > FLIPS / 4


async def rewritten(tmp_path: Path, batches: bytes, *, next_: int = 3) -> list[Damage]:
    """Put other batches into the first row, with row checksums that are right."""
    database = await filled(tmp_path)
    checksum = crc32c(batches)
    with closing(sqlite3.connect(database)) as connection:
        position, newest = connection.execute(
            query("select position, newest from log where $first")
        ).fetchone()
        connection.execute(
            "update log set batches = ?, next = ?, checksum = ?, seal = ? where position = ?",
            (batches, next_, checksum, seal(position, next_, newest, checksum), position),
        )
        connection.commit()
    return check(database, max_unpacked=UNPACKED).damage


def placed(whole: bytes, offset: int) -> bytes:
    """Return a batch with another base offset, which its CRC does not cover."""
    return struct.pack(">q", offset) + whole[8:]


def thinned(whole: bytes, kept: int, last: int) -> bytes:
    """Return a batch whose header says that records were taken out behind the kept ones."""
    covered = bytearray(whole[21:])
    covered[2:6] = struct.pack(">i", last)
    covered[36:40] = struct.pack(">i", kept)
    return whole[:17] + struct.pack(">I", crc32c(covered)) + bytes(covered)


@pytest.mark.parametrize(
    ("batches", "next_", "wrong"),
    [
        pytest.param(batch(b"1", b"2", b"3"), 3, "", id="as it should be"),
        pytest.param(placed(batch(b"2", b"3"), 1), 3, "", id="the first record compacted"),
        pytest.param(thinned(batch(b"1"), 1, 2), 3, "", id="the last records compacted"),
        pytest.param(b"", 3, "", id="all records compacted"),
        pytest.param(placed(batch(b"1"), 3), 3, "the row ends at 3", id="a batch past the row"),
        pytest.param(
            batch(b"1", b"2") + batch(b"3"), 3, "should not begin before 2", id="two at one place"
        ),
        pytest.param(thinned(batch(b"1", b"2", b"3"), 2, 2), 3, "there are 3 records", id="fewer"),
        pytest.param(thinned(batch(b"1", b"2"), 3, 2), 3, "end early", id="more records"),
    ],
)
async def test_headers_are_held_against_the_row_and_the_records(
    tmp_path: Path, batches: bytes, next_: int, wrong: str
) -> None:
    found = await rewritten(tmp_path, batches, next_=next_)
    if not wrong:
        assert found == []
        return
    assert any(wrong in damage.what for damage in found), found


async def test_damage_to_the_structure_is_told(tmp_path: Path) -> None:
    database = await filled(tmp_path)
    with closing(sqlite3.connect(database)) as connection:
        page = connection.execute(
            "select rootpage from sqlite_master where name = 'sqlite_autoindex_topics_1'"
        ).fetchone()[0]
    with database.open("r+b") as file:
        file.seek((page - 1) * 16384 + 3)
        file.write(b"\x00\x00")  # the number of the index's entries
    report = check(database, max_unpacked=UNPACKED)
    assert any("index" in damage.what for damage in report.damage), report.damage


async def test_many_damages_are_counted_and_the_first_named(tmp_path: Path) -> None:
    database = await filled(tmp_path)
    change(
        database,
        """with recursive more(n) as (values (1) union all select n + 1 from more where n < 1500)
        insert into log select ((select number from partitions where topic = 2) << 40)
        + n, 0, 0, 0, 0, x'' from more""",
    )
    report = check(database, max_unpacked=UNPACKED)
    assert report.damages >= 1500
    assert len(report.damage) == 1000


@pytest.mark.parametrize(
    ("content", "error", "what"),
    [
        pytest.param(None, NotFound, "there is no such file", id="missing"),
        pytest.param(b"", StorageUnusable, "not a database of this broker", id="empty"),
        pytest.param(b"SQLite format 3\0" + bytes(200), StorageUnusable, "not a", id="another's"),
        pytest.param(b"text" * 100, StorageUnusable, "not a database", id="no database"),
    ],
)
def test_what_is_no_store_is_refused(
    tmp_path: Path, content: bytes | None, error: type[Exception], what: str
) -> None:
    if content is not None:
        (tmp_path / "broker.db").write_bytes(content)
    with pytest.raises(error, match=what):
        check(tmp_path / "broker.db", max_unpacked=UNPACKED)


async def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    database = await filled(tmp_path)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(StorageUnusable, match="has version 99"):
        check(database, max_unpacked=UNPACKED)


async def test_a_store_on_a_disk_that_is_read_only_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await filled(tmp_path)

    def read_only(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", read_only)
    assert check(database, max_unpacked=UNPACKED).damages == 0


async def test_who_may_not_see_whether_a_broker_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await filled(tmp_path)

    def forbidden(path: Path, *_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("bus.broker.directory.os.open", forbidden)
    with pytest.raises(StorageUnusable, match=r"broker\.lock.*as the user that the broker runs as"):
        check(database, max_unpacked=UNPACKED)


@pytest.mark.parametrize("path", [".", "no folder/broker.db"])
def test_what_names_no_file_is_told_what_to_name(tmp_path: Path, path: str) -> None:
    (tmp_path / "no folder").write_text("")
    with pytest.raises(StorageUnusable, match="name the node's folder with --data"):
        check(tmp_path / path, max_unpacked=UNPACKED)
