"""Large answers are written in pieces: the same bytes, and nobody has to wait for all of it."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.answers import FEW, encoded
from bus.broker.wire import Each, Fields, write_answer
from bus.pause import SLICE, Pause
from tests.broker.raw import Raw

MANY = 5 * FEW + 3


class Watched(Pause):
    """Notes how many things were made at each pause."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.made = 0
        self.seen = [0]

    async def __call__(self) -> None:
        self.seen.append(self.made)

    def most(self) -> int:
        """Return how many were made between two pauses at most."""
        return max(after - before for before, after in zip(self.seen, self.seen[1:], strict=False))

    def each(self, count: int, **fields: object) -> Each:
        """Return so many items that are counted when they are made."""

        def make(index: int) -> Fields:
            self.made += 1
            return {"partition_index": index, "error_code": ErrorCode.none, **fields}

        return Each(make, range(count))


def metadata(topics: object) -> Fields:
    node = {"node_id": 1, "broker_id": 1, "host": "h", "port": 1, "rack": None}
    return {"brokers": [node], "cluster_id": "c", "controller_id": 1, "topics": topics}


def topic(name: str, partitions: object) -> Fields:
    error = ErrorCode.none
    return {"error_code": error, "name": name, "topic_id": UUID(int=7), "partitions": partitions}


LED = {"leader_id": 1, "leader_epoch": 0, "replica_nodes": (1,), "isr_nodes": (1,)}
SIZED = {"partition_size": 5, "offset_lag": 0, "is_future_key": False}
KEPT = {"committed_offset": 5, "committed_leader_epoch": -1, "metadata": "é"}


def answers() -> Iterator[object]:
    watched = Watched()
    for version in (1, 8, 9, 12):
        for shape, partitions in (("few", 2), ("many", MANY)):
            topics = [topic(f"t{n}", watched.each(partitions, **LED)) for n in range(MANY)]
            name = f"metadata-{version}-{shape}"
            yield pytest.param(ApiKey.METADATA, version, metadata(topics), id=name)
        one = metadata([topic("t", watched.each(MANY, **LED))])
        yield pytest.param(ApiKey.METADATA, version, one, id=f"metadata-{version}-one")
    directory = {
        "error_code": ErrorCode.none,
        "log_dir": "/",
        "topics": [topic("t", watched.each(MANY, **SIZED))],
        "total_bytes": 1,
        "usable_bytes": 1,
    }
    sizes: Fields = {"error_code": ErrorCode.none, "results": [directory]}
    group = {"group_id": "g", "error_code": ErrorCode.none}
    kept: Fields = {"groups": [{**group, "topics": [topic("t", watched.each(MANY, **KEPT))]}]}
    yield pytest.param(ApiKey.DESCRIBE_LOG_DIRS, 4, sizes, id="sizes")
    yield pytest.param(ApiKey.OFFSET_FETCH, 8, kept, id="positions")


@pytest.mark.parametrize(("key", "version", "fields"), list(answers()))
async def test_the_bytes_are_those_of_an_answer_that_is_written_at_once(
    key: ApiKey, version: int, fields: Fields
) -> None:
    answer, refused = await encoded(key, version, 7, fields)
    assert answer == write_answer(key, version, 7, fields)
    assert not refused


@pytest.mark.parametrize("items", [1, FEW, FEW + 1, MANY])
async def test_a_no_is_found_wherever_it_stands(items: int) -> None:
    groups = [{"group_id": str(n), "error_code": ErrorCode.none} for n in range(items)]
    for place in range(items):
        refused = {**groups[place], "error_code": ErrorCode.non_empty_group}
        fields = {"results": [*groups[:place], refused, *groups[place + 1 :]]}
        assert (await encoded(ApiKey.DELETE_GROUPS, 1, 7, fields))[1]


@pytest.mark.parametrize("topics", [1, MANY])
async def test_no_more_than_a_few_items_are_made_without_a_pause(topics: int) -> None:
    watched = Watched()
    fields = metadata([topic(f"t{n}", watched.each(MANY, **LED)) for n in range(topics)])
    await encoded(ApiKey.METADATA, 9, 7, fields, watched)
    assert watched.made == topics * MANY
    assert watched.most() <= FEW


async def test_a_pause_lets_others_have_their_turn_once_it_is_time() -> None:
    now, turns, seen = 0.0, list[int](), list[int]()
    pause = Pause(lambda: now)
    for step in range(1, 7):
        asyncio.get_running_loop().call_soon(turns.append, step)
        now = step * SLICE * 0.6
        await pause()
        seen.append(len(turns))
    assert seen == [0, 2, 2, 4, 4, 6]


async def test_who_asks_little_is_answered_before_who_asks_for_all(broker: Broker) -> None:
    async with await Raw.to(broker) as much, await Raw.to(broker) as little:
        await much.made("t", 5000)
        await much.ask(ApiKey.METADATA, 9, **all_topics())
        await little.ask(ApiKey.API_VERSIONS, 0)
        much.send(ApiKey.METADATA, 9, **all_topics())
        all_ = asyncio.create_task(much.answer())
        await little.ask(ApiKey.API_VERSIONS, 0)
        assert not all_.done()
        assert len(Raw.read(ApiKey.METADATA, 9, await all_).topics[0].partitions) == 5000


def all_topics() -> Fields:
    return {
        "topics": None,
        "allow_auto_topic_creation": False,
        "include_cluster_authorized_operations": False,
        "include_topic_authorized_operations": False,
    }
