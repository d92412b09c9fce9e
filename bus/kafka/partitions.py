"""Many partitions at once: their bounds, when records were appended, what they take on disk."""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import errors as foreign
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from bus.errors import BusUnavailable
from bus.kafka.inquiry import Inquiry, Unknown, breathe, parts
from bus.kafka.messages import TOPIC, DescribeLogDirs, Metadata
from bus.kafka.reader import EARLIEST, LATEST, taken_apart, withdrawn
from bus.kafka.records import FETCH_BYTES, Place
from bus.pause import Pause

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Partitions in one request for offsets."""

READ_AT_ONCE = 200
"""Partitions in one fetch."""

GLANCE = 16_384
"""Bytes of each partition in one fetch; the first one's first batch comes whole."""

FETCHES = 100
"""Fetches at one broker, after which the rest stays unknown until the next time."""

TOPICS_AT_ONCE = 100
"""Topics in one request for configurations or sizes."""

_TOPIC_RESOURCE = 2

Leaders = Mapping[Place, int]
"""The number of the broker that leads each partition."""


async def layout(inquiry: Inquiry) -> tuple[frozenset[int], dict[Place, int]]:
    """Return the numbers of all brokers, and who leads each partition that has a leader.

    Raises:
        BusUnavailable: no broker answers.
    """
    answer, pause = await inquiry.ask_any(Metadata()), Pause()
    leaders: dict[Place, int] = {}
    for _ in range(answer.topic_count):
        _, topic, _, partitions = TOPIC.decode(answer.left)
        for _, partition, leader, *_ in partitions:
            if leader >= 0:
                leaders[topic, partition] = leader
        await pause()
    return frozenset(one[0] for one in answer.brokers), leaders


async def bounds(inquiry: Inquiry, leaders: Leaders) -> dict[Place, tuple[int, int]]:
    """Return first and end offset of partitions; those that nobody answers for are missing.

    Raises:
        BusUnavailable: no broker answers.
    """
    first = await _offsets(inquiry, leaders, EARLIEST)
    ends = await _offsets(inquiry, leaders, LATEST)
    found: dict[Place, tuple[int, int]] = {}
    pause = Pause()
    for place, end in ends.items():
        if place in first:
            found[place] = (min(first[place], end), end)
        await pause()
    return found


async def offsets_at(inquiry: Inquiry, leaders: Leaders, time_ms: int) -> dict[Place, int]:
    """Return the offset of the first record at or after a time; -1 where there is none.

    Raises:
        BusUnavailable: no broker answers.
    """
    return await _offsets(inquiry, leaders, time_ms)


async def first_times(
    inquiry: Inquiry,
    leaders: Leaders,
    wanted: Mapping[Place, Collection[int]],
    ends: Mapping[Place, int],
) -> dict[tuple[Place, int], int | None]:
    """Return when the first committed record at or after offsets was appended.

    Args:
        inquiry: asks the brokers.
        leaders: who leads each partition.
        wanted: offsets by partition; each lies before the partition's end.
        ends: the end offset of each partition.

    Returns:
        Milliseconds since 1970; None where only what was taken back or marks a transaction's end
        comes before the end. What could not be read is missing.

    Raises:
        BusUnavailable: no broker answers.
    """
    by_leader = _by_leader({place: leaders[place] for place in wanted if place in leaders})
    glances = [
        _Glances(inquiry, leader, {place: sorted(wanted[place]) for place in places}, ends)
        for leader, places in by_leader.items()
    ]
    await asyncio.gather(*(glance.run() for glance in glances))
    return {key: time for glance in glances for key, time in glance.found.items()}


class _Glances:
    """Looks at many partitions of one leader, as many in one fetch as go in."""

    def __init__(
        self,
        inquiry: Inquiry,
        leader: int,
        wanted: Mapping[Place, Sequence[int]],
        ends: Mapping[Place, int],
    ) -> None:
        self._inquiry, self._leader, self._ends = inquiry, leader, ends
        self._left = {place: list(offsets) for place, offsets in wanted.items() if offsets}
        self._cursors = {place: offsets[0] for place, offsets in self._left.items()}
        self._queue = list(self._left)
        self.found: dict[tuple[Place, int], int | None] = {}

    async def run(self) -> None:
        """Fetch until nothing is left, or so often that the rest has to wait."""
        for _ in range(FETCHES):
            if not self._queue:
                return
            now, self._queue = self._queue[:READ_AT_ONCE], self._queue[READ_AT_ONCE:]
            try:
                answer = await self._inquiry.ask(self._leader, self._request(now))
            except Unknown:
                return
            if answer is None:
                return
            # What found no room in this answer comes first in the next; what was read, last.
            hungry, fed = await self._taken(answer, now)
            self._queue = [*hungry, *self._queue, *fed]
            await breathe()

    def _request(self, places: Iterable[Place]) -> FetchRequest:
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for place in places:
            part = (place[1], self._cursors[place], GLANCE)
            topics.setdefault(place[0], []).append(part)
        return FetchRequest(0, 0, FETCH_BYTES, READ_COMMITTED, list(topics.items()))

    async def _taken(self, answer: Any, asked: Sequence[Place]) -> tuple[list[Place], list[Place]]:
        """Take an answer; return what got nothing, and what goes on behind what it got."""
        data = {
            (topic, part[0]): part
            for topic, partitions in answer.topics
            for part in partitions
            if foreign.for_code(part[1]) is foreign.NoError
        }
        hungry, fed = [], []
        for place in asked:
            if place not in data:
                continue
            part = data[place]
            aborted = withdrawn(part, answer.API_VERSION)
            if not part[-1]:
                # The first of a request has room; it has nothing that can be read.
                hungry += [place] if place != asked[0] else []
            elif self._read(place, part[-1], aborted):
                fed.append(place)
            await breathe()
        return hungry, fed

    def _read(self, place: Place, batches: bytes, aborted: Any) -> bool:
        """Note what batches tell; return whether there is more to be read of the partition."""
        cursor, offsets = self._cursors[place], self._left[place]
        try:
            records, following = taken_apart(place, batches, cursor, aborted)
        except BusUnavailable as error:
            log.info("%s-%d: %s", *place, error)
            return False
        known = [record.offset for record in records]
        while offsets and (index := bisect_left(known, offsets[0])) < len(known):
            self.found[place, offsets.pop(0)] = records[index].timestamp_ms
        if offsets and following >= self._ends[place]:
            self.found |= {(place, offset): None for offset in offsets}
            return False
        if offsets:
            self._cursors[place] = max(following, offsets[0])
        return bool(offsets) and self._cursors[place] > cursor


async def retentions(inquiry: Inquiry, topics: Collection[str]) -> dict[str, float | None]:
    """Return for how many seconds topics keep their records; None: not bounded by time.

    Topics whose configuration this user may not see are missing.

    Raises:
        BusUnavailable: no broker answers.
    """
    names = ["cleanup.policy", "retention.ms"]
    found: dict[str, float | None] = {}
    for part in parts(topics, TOPICS_AT_ONCE):
        request = DescribeConfigsRequest([(_TOPIC_RESOURCE, topic, names) for topic in part])
        answer = await _asked(inquiry, inquiry.brokers[:1], request)
        for code, _, _, topic, entries in answer[0].resources if answer else ():
            if foreign.for_code(code) is foreign.NoError:
                values = {entry[0]: entry[1] for entry in entries}
                found[topic] = _retention(values)
        await breathe()
    return found


def _retention(configs: Mapping[str, str | None]) -> float | None:
    deletes = "delete" in (configs.get("cleanup.policy") or "")
    kept = int(configs.get("retention.ms") or -1)
    return kept / 1000 if deletes and kept >= 0 else None


async def sizes(inquiry: Inquiry, leaders: Leaders, topics: Collection[str]) -> dict[str, int]:
    """Return how many bytes the leaders' copies of topics take; who may not know gets nothing.

    Raises:
        BusUnavailable: no broker answers.
    """
    wanted: dict[str, list[int]] = {topic: [] for topic in topics}
    for topic, partition in leaders:
        if topic in wanted:
            wanted[topic].append(partition)
    found: dict[str, int] = {}
    for part in parts(wanted, TOPICS_AT_ONCE):
        request = DescribeLogDirs({topic: wanted[topic] for topic in part})
        for broker in inquiry.brokers:
            for answer in await _asked(inquiry, [broker], request):
                for topic, size in _held(answer, broker, leaders):
                    found[topic] = found.get(topic, 0) + size
            await breathe()
    return found


def _held(answer: Any, broker: int, leaders: Leaders) -> Iterable[tuple[str, int]]:
    """Yield the sizes of partitions that a broker leads, not of its copies of others'."""
    for code, _, topics in answer.directories:
        if foreign.for_code(code) is not foreign.NoError:
            continue
        for topic, partitions in topics:
            for partition, size, _, is_future in partitions:
                if leaders.get((topic, partition)) == broker and not is_future:
                    yield topic, size


async def _asked(inquiry: Inquiry, brokers: Sequence[int], request: Any) -> list[Any]:
    """Return the answers of brokers that know the request."""
    answers = []
    for broker in brokers:
        try:
            answers.append(await inquiry.ask(broker, request))
        except Unknown as error:
            log.debug("broker %d: %s", broker, error)
    return [answer for answer in answers if answer is not None]


async def _offsets(inquiry: Inquiry, leaders: Leaders, time_ms: int) -> dict[Place, int]:
    found: dict[Place, int] = {}
    asked = (
        _learn_offsets(found, inquiry, leader, places, time_ms)
        for leader, places in _by_leader(leaders).items()
    )
    await asyncio.gather(*asked)
    return found


async def _learn_offsets(
    found: dict[Place, int],
    inquiry: Inquiry,
    leader: int,
    places: Collection[Place],
    time_ms: int,
) -> None:
    for part in parts(places, AT_ONCE):
        topics: dict[str, list[tuple[int, int]]] = {}
        for topic, partition in part:
            topics.setdefault(topic, []).append((partition, time_ms))
        request = OffsetRequest(-1, READ_COMMITTED, list(topics.items()))
        for answer in await _asked(inquiry, [leader], request):
            for topic, partitions in answer.topics:
                for partition, code, _, offset in partitions:
                    if foreign.for_code(code) is foreign.NoError:
                        found[topic, partition] = offset
        await breathe()


def _by_leader(leaders: Leaders) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for place, leader in leaders.items():
        found.setdefault(leader, []).append(place)
    return found
