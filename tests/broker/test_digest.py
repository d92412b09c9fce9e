"""What a stopped broker left is held against its digest: what changed meanwhile is damage."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import Broker
from bus.broker.storage.store import Store
from bus.errors import StorageUnusable
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw, batch


def made(data: Path) -> Broker:
    """Return a broker on a free port that is not started."""
    return Broker(BrokerSettings(listen=Address(host="127.0.0.1", port=0)), data, Telemetry())


@pytest.fixture
async def stopped(tmp_path: Path) -> Path:
    """The folder of a broker that was stopped: topics t and u, of which t has two rows."""
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        for name in ("t", "u"):
            await raw.create(name, retention_ms="-1")
            await raw.produce(name, batch(b"1"))
        await raw.produce("t", batch(b"2"))
    return tmp_path


def change(folder: Path, statement: str) -> None:
    """Change the database behind the broker's back."""
    with closing(sqlite3.connect(folder / "broker.db", isolation_level=None)) as database:
        assert database.execute(statement).rowcount > 0


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("update topics set configs = '{}' where name = 't'", id="other configs"),
        pytest.param("update topics set name = 'v' where name = 't'", id="another name"),
        pytest.param("update meta set value = 7 where name = 'next_producer'", id="ids again"),
        pytest.param("delete from partitions where topic = 2", id="a partition less"),
        pytest.param("insert into dropped values (1)", id="a partition that is dropped"),
        pytest.param("update sqlite_sequence set seq = seq - 1", id="a number again"),
    ],
)
async def test_a_table_that_is_not_what_it_was_keeps_the_broker_from_starting(
    stopped: Path, statement: str
) -> None:
    change(stopped, statement)
    with pytest.raises(StorageUnusable, match="not what was written"):
        await made(stopped).start()


async def test_a_partition_that_lost_its_last_row_is_out_of_service_and_stays_so(
    stopped: Path,
) -> None:
    change(stopped, "delete from log where next = 2")
    for _ in range(2):  # and stops in order
        async with made(stopped) as broker, await Raw.to(broker) as raw:
            assert (await raw.fetch("t", 0)).error_code is not ErrorCode.none
            assert (await raw.produce("t", batch(b"3"))).error_code is not ErrorCode.none
            assert (await raw.fetch("u", 0)).error_code is ErrorCode.none
            await raw.produce("u", batch(b"2"))


async def test_a_partition_that_lost_all_its_rows_is_out_of_service(stopped: Path) -> None:
    change(stopped, "delete from log where position < 1 << 41")
    async with made(stopped) as broker, await Raw.to(broker) as raw:
        assert (await raw.produce("t", batch(b"3"))).error_code is not ErrorCode.none
        assert (await raw.fetch("u", 0)).error_code is ErrorCode.none


async def test_while_it_runs_there_is_no_digest(stopped: Path) -> None:
    """So that a broker that is killed leaves none that is out of date."""
    async with made(stopped):
        with closing(sqlite3.connect(stopped / "broker.db")) as database:
            left = database.execute("select count(*) from meta where name = 'digest'").fetchone()
            assert left == (0,)


def test_ends_without_a_digest_are_out_of_date_at_the_next_start(stopped: Path) -> None:
    """Somebody took it away, the broker ran and was killed: the partitions went on since."""
    change(stopped, "delete from meta where name = 'digest'")
    store = Store(stopped / "broker.db")
    try:
        assert not store.digest.verify()
        change(stopped, "delete from log where next = 2")
        assert not store.digest.verify()
    finally:
        store.close()


async def test_a_name_in_the_schema_that_is_no_text_does_not_keep_a_broker_from_stopping(
    stopped: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A killed broker leaves no digest, so that the damage shows only when one is to be made."""
    change(stopped, "delete from meta where name in ('digest', 'ends')")
    database = stopped / "broker.db"
    content = bytearray(database.read_bytes())
    content[content.index(b"stable integer") + 1] ^= 0x80  # a column's name
    database.write_bytes(content)
    async with made(stopped):
        pass
    assert "could not be sealed" in caplog.text
