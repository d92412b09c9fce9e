"""A topic is deleted and made again under load: nothing of the old one shows in the new one."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.broker.check import check
from tests.broker.raw import Raw, batch
from tests.broker.stores import UNPACKED, committed, made
from tests.engines.log import stored
from tests.engines.test_produce_idempotent import new_producer
from tests.engines.transactor import COMMITTED, NONE, Transactor, read

SEED = 20261121
LIVES = 8
"""How often the topic is made."""

GONE = ErrorCode.unknown_topic_or_partition
PASSING = {NONE, GONE}
ENOUGH = 5  # acknowledged by each in a life of the topic, before it is deleted


class Story:
    """What is sent and acknowledged, in the order of the lives of the topic.

    Attributes:
        life: counts up when the topic was made, and when its deletion is asked for: it is there for
            sure in odd ones.
        told: by what was sent, in which life that was, and in which it was acknowledged.
        aborted: what was sent and is to be seen by nobody.
        done: how much each client got acknowledged in this life.
    """

    def __init__(self) -> None:
        self.life = 0
        self.told: dict[bytes, tuple[int, int]] = {}
        self.aborted: set[bytes] = set()
        self.positions: dict[int, tuple[int, int]] = {}
        self.done: Counter[str] = Counter()
        self.stopping = False
        self._moved = asyncio.Event()
        self._numbers: Iterator[int] = itertools.count()

    def value(self, name: str) -> bytes:
        """Return what nobody has sent before."""
        return b"%s %d" % (name.encode(), next(self._numbers))

    def progress(self, name: str) -> None:
        """Take note that somebody got on."""
        self.done[name] += 1
        self._moved.set()

    def enter(self) -> None:
        """Begin the next life."""
        self.life += 1
        self.done.clear()

    async def enough(self, names: list[str]) -> None:
        """Wait until each got on in this life."""
        while any(self.done[name] < ENOUGH for name in names):
            self._moved.clear()
            await self._moved.wait()


async def plainly(story: Story, broker: Broker, name: str) -> None:
    """Write with no producer's id."""
    async with await Raw.to(broker) as raw:
        while not story.stopping:
            value, sent = story.value(name), story.life
            answer = await raw.produce("t", batch(value))
            assert answer.error_code in PASSING, answer
            if answer.error_code is NONE:
                story.told[value] = (sent, story.life)
                story.progress(name)


async def idempotently(story: Story, broker: Broker, name: str) -> None:
    """Write with a producer's id, and count on as clients do: what is refused is sent again."""
    async with await Raw.to(broker) as raw:
        producer = (await new_producer(raw)).producer_id
        for sequence in itertools.count():
            value, sent = story.value(name), story.life
            while not story.stopping:
                answer = await raw.produce("t", batch(value, producer=(producer, 0, sequence)))
                assert answer.error_code in PASSING, answer
                if answer.error_code is NONE:
                    story.told[value] = (sent, story.life)
                    story.progress(name)
                    break
            if story.stopping:
                return


async def in_transactions(story: Story, broker: Broker, name: str) -> None:
    """Write transactions, also into a topic that stays; what fails is aborted."""
    async with Transactor.at(broker.address, name) as one:
        for number in itertools.count():
            if story.stopping:
                return
            await one.begin()
            one._sequences.clear()
            value, sent, commit = story.value(name), story.life, number % 3 != 2
            await one.send("stays", value)
            added = await one.add("t")
            assert added in PASSING, added
            told = await one.write("t", value) if added is NONE else None
            assert told is None or told.error_code in PASSING | {ErrorCode.invalid_txn_state}, told
            wrote = told is not None and told.error_code is NONE
            ended = await one.end(commit=commit and wrote)
            assert ended is NONE
            if commit and wrote:
                story.told[value] = (sent, story.life)
                story.progress(name)
            else:
                story.aborted.add(value)


async def in_a_group(story: Story, broker: Broker, name: str) -> None:
    """Commit positions, which only go up."""
    async with await Raw.to(broker) as raw:
        while not story.stopping:
            position, sent = next(story._numbers), story.life
            answer = await raw.ask(ApiKey.OFFSET_COMMIT, 7, **committed("t", position, name))
            error = answer.topics[0].partitions[0].error_code
            assert error in PASSING, error
            if error is NONE:
                story.positions[position] = (sent, story.life)
                story.progress(name)


async def reading(story: Story, broker: Broker, name: str) -> None:
    """Read on from the last offset; where that is lost, from the beginning."""
    async with await Raw.to(broker) as raw:
        offset = 0
        while not story.stopping:
            found = await raw.fetch("t", offset, max_wait=50)
            assert found.error_code in PASSING | {ErrorCode.offset_out_of_range}, found
            if found.error_code is NONE:
                count = found.records.count(b" ") if found.records else 0
                offset = min(offset + count, found.high_watermark)
                story.progress(name)
            else:
                offset = 0


CLIENTS: dict[str, Callable[[Story, Broker, str], Coroutine[None, None, None]]] = {
    "plain-1": plainly,
    "plain-2": plainly,
    "idempotent-1": idempotently,
    "idempotent-2": idempotently,
    "transactional-1": in_transactions,
    "transactional-2": in_transactions,
    "group": in_a_group,
    "reader": reading,
}


async def position(raw: Raw) -> int:
    """Return what the group has committed."""
    asked = [{"name": "t", "partition_indexes": [0]}]
    answer: Any = await raw.ask(ApiKey.OFFSET_FETCH, 5, group_id="group", topics=asked)
    return int(answer.topics[0].partitions[0].committed_offset)


async def judge(story: Story, raw: Raw) -> None:
    """Hold what is there to what happened since the topic was made; nobody writes meanwhile."""
    records = await stored(raw, "t")
    marks = [one for one in records if one.key is not None]
    values = [one.value for one in records if one.key is None]
    assert [one.offset for one in records] == list(range(len(records)))
    assert len(marks) + len(values) == len(records)
    assert max(Counter(values).values()) == 1
    for value, (_, acknowledged) in story.told.items():
        # What was acknowledged just before this life may have come after the topic was made.
        assert value not in values or acknowledged >= story.life - 1, "it is back"
    sent_since = {value for value, (sent, _) in story.told.items() if sent >= story.life}
    assert sent_since <= set(values), "it is lost"
    seen = await read(raw, "t", COMMITTED)
    assert not story.aborted & set(seen)
    assert sent_since <= set(seen)
    there = await position(raw)
    last = max(
        (one for one, (sent, _) in story.positions.items() if sent >= story.life), default=-1
    )
    may = [one for one, (_, told) in story.positions.items() if told >= story.life - 1]
    assert last <= there <= max(may, default=-1)


async def live(story: Story, broker: Broker, raw: Raw, pause: float, *, last: bool) -> None:
    """Make the topic, let everybody work with it, and delete it, or judge what it has."""
    await raw.made("t")
    story.enter()
    sent, _ = story.positions.get(await position(raw), (story.life, 0))
    assert sent >= story.life - 1, "a position is back"  # or was sent when the topic was just made
    await story.enough(list(CLIENTS))
    if last:
        return
    await asyncio.sleep(pause)
    story.enter()
    answer = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=["t"], timeout=1000)
    assert answer.responses[0].error_code is NONE


@pytest.mark.slow
async def test_nothing_of_the_old_topic_shows_in_the_new_one(tmp_path: Path) -> None:
    choose, story = random.Random(SEED), Story()
    async with made(tmp_path) as broker, await Raw.to(broker) as raw, asyncio.timeout(60):
        await raw.made("stays")
        async with asyncio.TaskGroup() as group:
            for name, client in CLIENTS.items():
                group.create_task(client(story, broker, name))
            for number in range(LIVES):
                last = number == LIVES - 1
                await live(story, broker, raw, choose.random() * 0.02, last=last)
            story.stopping = True
        await judge(story, raw)
    async with made(tmp_path) as broker, await Raw.to(broker) as raw:
        await judge(story, raw)
        in_stays = await read(raw, "stays", COMMITTED)
        assert not story.aborted & set(in_stays)
        mine = {value for value in story.told if value.startswith(b"transactional")}
        assert mine == set(in_stays)
    assert check(tmp_path / "broker.db", max_unpacked=UNPACKED).damages == 0
