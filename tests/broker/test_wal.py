"""The write-ahead log stays short, whatever is written and whoever reads meanwhile."""

import asyncio
import os
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.storage.pages import Pages
from tests.broker.raw import Raw, batch, fetch_fields
from tests.broker.stores import made

MOST = 4_000_000
PARTITIONS = 100
REQUESTS = 12
VALUE = os.urandom(64_000)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the log's size was after each commit."""
    seen: list[int] = []
    bound = Pages.bound

    def watched(pages: Pages) -> None:
        seen.append(pages.log_bytes())
        bound(pages)

    monkeypatch.setattr(Pages, "bound", watched)
    return seen


async def write(raw: Raw, partitions: int, value: bytes) -> None:
    """Write so many requests with a batch for each partition, without waiting for the answers."""
    records = batch(value)
    data = [{"index": index, "records": records} for index in range(partitions)]
    for _ in range(REQUESTS):
        raw.send(
            ApiKey.PRODUCE,
            9,
            transactional_id=None,
            acks=-1,
            timeout=1000,
            topic_data=[{"name": "t", "partition_data": data}],
        )
    for _ in range(REQUESTS):
        answer = raw.read(ApiKey.PRODUCE, 9, await raw.answer())
        for part in answer.responses[0].partition_responses:
            assert part.error_code is ErrorCode.none


async def read_on(broker: Broker, ended: asyncio.Event) -> int:
    """Read a partition from its beginning again and again; return how often."""
    times, offset = 0, 0
    async with await Raw.to(broker) as raw:
        while not ended.is_set() or not times:
            answer = await raw.ask(ApiKey.FETCH, 11, **fetch_fields("t", offset))
            part = answer.responses[0].partitions[0]
            assert part.error_code is ErrorCode.none
            offset = offset + 1 if part.records else 0
            times += not offset
    return times


@pytest.mark.parametrize(
    ("partitions", "value"),
    [
        pytest.param(PARTITIONS, VALUE, id="batches of 64 kB to each of 100 partitions"),
        pytest.param(PARTITIONS, b"x", id="a byte to each of 100 partitions"),
        pytest.param(1, os.urandom(1_000_000), id="batches of 1 MB"),
    ],
)
async def test_it_stays_below_4_mb_beside_readers_of_the_whole_log(
    tmp_path: Path, sizes: list[int], partitions: int, value: bytes
) -> None:
    async with made(tmp_path, tail_cache_bytes=0) as broker, await Raw.to(broker) as raw:
        await raw.made("t", partitions)
        ended = asyncio.Event()
        reading = [asyncio.create_task(read_on(broker, ended)) for _ in range(2)]
        await write(raw, partitions, value)
        ended.set()
        await asyncio.gather(*reading)
        assert max(sizes) < MOST
