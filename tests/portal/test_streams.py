"""Streams: one a page, made once for all, bounded, ended in order."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bus.portal import streams as module
from bus.portal.streams import COME_BACK, SHARE, Streams, message
from tests.clock import Clock


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


@pytest.fixture
def streams(thread: ThreadPoolExecutor, clock: Clock) -> Streams:
    return Streams(lambda: 3, thread, clock)


class Source:
    """Something that is shown, and counts how often it was made."""

    def __init__(self) -> None:
        self.content, self.made = "first", 0

    def make(self) -> str:
        self.made += 1
        return self.content


async def following(stream: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(stream), 5)


async def test_a_page_is_told_of_what_has_changed(streams: Streams) -> None:
    source = Source()
    stream = streams.events("page", source.make)
    assert await following(stream) == b"retry: 1000\n\n"
    assert await following(stream) == b"data: first\n\n"
    source.content = "second\nline"
    streams.beat()
    assert await following(stream) == b"data: second\ndata: line\n\n"
    await stream.aclose()  # type: ignore[attr-defined]
    assert len(streams) == 0


async def test_nothing_is_sent_twice(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.05)
    source = Source()
    stream = streams.events("page", source.make)
    await following(stream), await following(stream)
    streams.beat()
    assert await following(stream) == b": still here\n\n"
    assert source.made == 2


async def test_what_several_show_is_made_once(streams: Streams) -> None:
    source = Source()
    opened = [streams.events("page", source.make) for _ in range(3)]
    for stream in opened:
        await following(stream)
    shown = await asyncio.gather(*map(following, opened))
    assert shown == [b"data: first\n\n"] * 3
    assert source.made == 1


FULL = re.compile(rb"event: full\nretry: (\d+)\ndata: come back\n\n")


def pause(told: bytes) -> int:
    """Return after how many milliseconds somebody shall come back."""
    found = FULL.fullmatch(told)
    assert found, told
    return int(found[1])


async def test_the_oldest_makes_room_once_it_has_had_its_share(
    streams: Streams, clock: Clock
) -> None:
    opened = [streams.events("page", Source().make) for _ in range(3)]
    for stream in opened:
        await following(stream), await following(stream)
    waiting = asyncio.ensure_future(following(opened[0]))
    await asyncio.sleep(0)
    clock.now += SHARE
    newest = streams.events("page", Source().make)
    await following(newest)
    pause(await waiting)
    with pytest.raises(StopAsyncIteration):
        await anext(opened[0])
    assert len(streams) == 3


async def test_who_comes_when_all_are_young_reads_without_a_stream(
    streams: Streams, clock: Clock
) -> None:
    """Who had to go does not push out at once who came after; that went round and round."""
    opened = [streams.events("page", Source().make) for _ in range(3)]
    for stream in opened:
        await following(stream), await following(stream)
    clock.now += SHARE - 1
    late = streams.events("page", Source().make)
    told = [await following(late) for _ in range(3)]
    assert told[:2] == [b"retry: 1000\n\n", b"data: first\n\n"]
    pause(told[2])
    with pytest.raises(StopAsyncIteration):
        await anext(late)
    assert len(streams) == 3


async def test_a_tail_beyond_the_limit_is_told_what_is_new(streams: Streams) -> None:
    opened = [streams.events("page", Source().make) for _ in range(3)]
    for stream in opened:
        await following(stream)

    async def step() -> bytes:
        return message("new")

    late = streams.paced(step)
    assert [await following(late) for _ in range(2)] == [b"retry: 1000\n\n", b"data: new\n\n"]
    pause(await following(late))


async def test_those_who_come_back_do_not_all_come_at_once(streams: Streams) -> None:
    opened = [streams.events("page", Source().make) for _ in range(3)]
    for stream in opened:
        await following(stream)
    pauses = set()
    for _ in range(50):
        late = streams.events("page", Source().make)
        pauses.add(pause([await following(late) for _ in range(3)][-1]))
    least, most = COME_BACK
    assert all(least <= one <= most for one in pauses)
    assert len(pauses) > 25


async def test_all_end_when_the_portal_does(streams: Streams) -> None:
    stream = streams.events("page", Source().make)
    await following(stream), await following(stream)
    streams.close()
    assert (await following(stream)).startswith(b"event: full\n")
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        pytest.param("", b"data: \n\n", id="nothing"),
        pytest.param("a\r\nb\rc\n", b"data: a\ndata: b\ndata: c\ndata: \n\n", id="line ends"),
        pytest.param(
            "x\n\nevent: forged", b"data: x\ndata: \ndata: event: forged\n\n", id="forged"
        ),
        pytest.param("ä\u2028", "data: ä\u2028\n\n".encode(), id="UTF-8"),
    ],
)
def test_an_event_holds_any_text(data: str, sent: bytes) -> None:
    assert message(data) == sent
