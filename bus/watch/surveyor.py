"""Finds out how the whole bus is, with few requests however many topics and groups there are."""

import asyncio
import logging
import time
from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bus.errors import BusError
from bus.kafka import Inquiry, LogReader, Place
from bus.kafka.groups import Described, Position, described, listed, positions
from bus.kafka.partitions import bounds, first_times, layout, retentions, sizes
from bus.letters import DECISIONS, DecisionLog, is_redrive_topic
from bus.letters.shelf import PARTITION, count
from bus.principals import OWN_CLIENTS
from bus.settings import KafkaSettings
from bus.startable import Startable
from bus.subscriber.promise import promised
from bus.watch.backwards import Backwards
from bus.watch.memory import Memory, plausible
from bus.watch.names import is_dead_letters, is_internal, is_view
from bus.watch.survey import GroupState, Subscription, Survey, TopicState, subscription, unread

log = logging.getLogger(__name__)

_Bounds = Mapping[Place, tuple[int, int]]
_Times = Mapping[tuple[Place, int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the requests of one survey have brought.

    ``times`` tells of an offset when the first record at or after it was appended; ``last`` also
    tells of the offset before the end when the last record before it was.
    """

    groups: Mapping[str, Described]
    positions: Mapping[str, Mapping[Place, Position]]
    bounds: _Bounds
    times: _Times
    last: _Times
    now: float

    def reads(self, group: str) -> dict[str, dict[int, Position]]:
        """Return what a group has positions on, or was given, by topic and partition."""
        found: dict[str, dict[int, Position]] = {t: {} for t, _ in self.groups[group].reads}
        for (topic, partition), position in self.positions.get(group, {}).items():
            found.setdefault(topic, {})[partition] = position
        return found

    def bounds_of(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return the bounds of a topic's partitions, as far as anybody told them."""
        places = {p: self.bounds.get((topic, p)) for p in partitions}
        return {p: found for p, found in places.items() if found is not None}


class Surveyor(Startable):
    """Looks at topics, groups and positions, and remembers what it need not ask again.

    What it remembers is bounded by what there is: it forgets what a survey did not meet.

    Args:
        kafka: how to reach the engine.
        client_id: what the engine calls this client in its logs.
    """

    def __init__(self, kafka: KafkaSettings, *, client_id: str = f"{OWN_CLIENTS}watch") -> None:
        self._inquiry = Inquiry(kafka, client_id=client_id)
        self._memory = Memory()
        self._reader = LogReader(kafka, client_id=client_id)
        self._decided = DecisionLog(self._reader)

    async def start(self) -> None:
        """Connect.

        Raises:
            BusError: the engine cannot be reached, or does not accept the credentials.
        """
        await self._inquiry.start()
        try:
            await self._reader.start()
        except BaseException:
            await self._inquiry.stop()
            raise

    async def stop(self) -> None:
        """Close the connections."""
        await self._reader.stop()
        await self._inquiry.stop()

    async def survey(self, groups: Collection[str] | None = None) -> Survey:
        """Look once.

        Args:
            groups: look at these alone, and at the topics that they read; at all if None.

        Raises:
            BusUnavailable: no broker answers.
        """
        began = time.monotonic()
        brokers, leaders = await layout(self._inquiry)
        self._inquiry.begin(brokers)
        # Positions before bounds: what is read in between shall not look as if it were ahead.
        there = await listed(self._inquiry)
        if groups is not None:
            there = {group: there[group] for group in groups if group in there}
        committed = await positions(self._inquiry, there)
        who = await described(self._inquiry, there)
        if groups is not None:
            read = {t for at in committed.values() for t, _ in at}
            read |= {t for one in who.values() for t, _ in one.reads}
            leaders = {place: leader for place, leader in leaders.items() if place[0] in read}
        found_bounds = await bounds(self._inquiry, leaders)
        now = time.time()
        times = await self._times(leaders, found_bounds, committed, who, now)
        last = await self._look_back(leaders, found_bounds, times, now)
        await self._learn_facts(leaders, {topic for topic, _ in found_bounds}, now)
        await self._learn_decisions(found_bounds)
        found = _Found(
            groups=who,
            positions=committed,
            bounds=found_bounds,
            times=times,
            last=ChainMap(dict(last), dict(times)),
            now=now,
        )
        # In a thread, as it takes long where there are many, and all others would wait.
        return await asyncio.to_thread(self._survey, found, began)

    async def _times(
        self,
        leaders: Mapping[Place, int],
        found: _Bounds,
        committed: Mapping[str, Mapping[Place, Position]],
        groups: Mapping[str, Described],
        now: float,
    ) -> _Times:
        """Return when the records were appended that somebody has to read next, and the newest."""
        ends = {place: end for place, (_, end) in found.items()}
        known, asked = await asyncio.to_thread(self._asked, found, ends, committed, groups)
        read = await first_times(self._inquiry, leaders, asked, ends)
        new = {key: None if ms is None else ms / 1000 for key, ms in read.items()}
        return known | self._memory.learn(new, ends, now)

    async def _look_back(
        self, leaders: Mapping[Place, int], found: _Bounds, times: _Times, now: float
    ) -> _Times:
        """Return when the last records were appended of new topics at whose end stands none."""
        ends = {place: end for place, (_, end) in found.items()}
        searches = {
            place: Backwards(first, end)
            for place, (first, end) in found.items()
            if end > first
            and not (is_internal(place[0]) or self._memory.knows(place[0]))
            and times.get((place, end - 1)) is None
        }
        while asked := {p: at for p, one in searches.items() if (at := one.ask) is not None}:
            wanted = {place: [at] for place, at in asked.items()}
            read = await first_times(self._inquiry, leaders, wanted, ends)
            for place, at in asked.items():
                ms = read.get((place, at))
                searches[place].learn(at, None if ms is None else ms / 1000)
        return {
            (place, ends[place] - 1): plausible(one.time, now)
            for place, one in searches.items()
            if one.time is not None
        }

    def _asked(
        self,
        found: _Bounds,
        ends: Mapping[Place, int],
        committed: Mapping[str, Mapping[Place, Position]],
        groups: Mapping[str, Described],
    ) -> tuple[dict[tuple[Place, int], float | None], dict[Place, list[int]]]:
        """Return what times are known, and of which offsets they have to be asked for."""
        wanted = set(_next_records(found, committed, groups))
        wanted |= {
            (place, end - 1)
            for place, (first, end) in found.items()
            if end > first and not is_internal(place[0])
        }
        known = self._memory.times(wanted, ends)
        asked: dict[Place, list[int]] = {}
        for place, offset in wanted - known.keys():
            asked.setdefault(place, []).append(offset)
        return known, asked

    async def _learn_facts(
        self, leaders: Mapping[Place, int], topics: Collection[str], now: float
    ) -> None:
        """Ask for retention and size of the topics for which that is longest ago."""
        due = self._memory.due(topics, now)
        if due:
            kept = await retentions(self._inquiry, due)
            held = await sizes(self._inquiry, leaders, due)
            self._memory.note(due, kept, held, now)

    async def _learn_decisions(self, found: _Bounds) -> None:
        """Learn what was decided about dead letters since the last survey."""
        there = found.get((DECISIONS, PARTITION))
        if there is None:
            return
        try:
            await self._decided.follow(there)
        except BusError as error:  # the rest of the survey is worth having all the same
            log.warning("decisions about dead letters cannot be read: %s", error)

    def _survey(self, found: _Found, began: float) -> Survey:
        by_topic: dict[str, dict[int, tuple[int, int]]] = {}
        for (topic, partition), one in found.bounds.items():
            by_topic.setdefault(topic, {})[partition] = one
        topics = {name: self._topic(name, by_topic[name], found) for name in sorted(by_topic)}
        survey = Survey(
            at=found.now,
            took=time.monotonic() - began,
            topics=topics,
            groups={
                group: GroupState(
                    group=group,
                    state=one.state,
                    members=one.members,
                    subscriptions=self._subscriptions(group, topics, found),
                )
                for group, one in sorted(found.groups.items())
            },
            dead={
                name: count(self._decided.known, name, one.bounds).waiting
                for name, one in topics.items()
                if is_dead_letters(name)
            },
        )
        self._memory.forget(found.bounds.keys(), found.times.keys(), survey)
        return survey

    def _topic(self, name: str, bounds: Mapping[int, tuple[int, int]], found: _Found) -> TopicState:
        newest = self._memory.newest(name, bounds, found.last, found.now)
        retention, size = self._memory.facts(name)
        return TopicState(topic=name, bounds=bounds, newest=newest, retention=retention, size=size)

    def _subscriptions(
        self, group: str, topics: Mapping[str, TopicState], found: _Found
    ) -> dict[str, Subscription]:
        all_of_it = {
            topic: self._subscription(group, topic, at, topics[topic], found)
            for topic, at in sorted(found.reads(group).items())
            if topic in topics
        }
        return {topic: one for topic, one in all_of_it.items() if not _is_no_reader(one)}

    def _subscription(
        self,
        group: str,
        topic: str,
        at: Mapping[int, Position],
        state: TopicState,
        found: _Found,
    ) -> Subscription:
        offsets = {partition: one.offset for partition, one in at.items()}
        left = unread(offsets, state.bounds)
        keys = {partition: ((topic, partition), offset) for partition, offset in left.items()}
        promises = [p for one in at.values() if (p := promised(one.metadata)) is not None]
        return subscription(
            group,
            topic,
            positions=offsets,
            bounds=state.bounds,
            times={p: found.times[key] for p, key in keys.items() if key in found.times},
            now=found.now,
            promise=min(promises, default=None),
            moved=self._memory.moved(group, topic, offsets, found.now),
        )


def _is_no_reader(one: Subscription) -> bool:
    """Whether a group has a topic and does not read it as one that could be late.

    It has nothing to read of what is re-driven, as nearly always; or it keeps the view that the
    topic is: Faust assigns it the partitions that it writes, and never commits there.
    """
    if is_view(one.topic):
        return one.never_committed
    return is_redrive_topic(one.topic) and not (one.records or one.lost or one.ahead)


def _next_records(
    found: _Bounds,
    committed: Mapping[str, Mapping[Place, Position]],
    groups: Mapping[str, Described],
) -> Iterable[tuple[Place, int]]:
    """Yield the first unread record of each partition that a group reads and has positions on."""
    by_topic: dict[str, set[int]] = {}
    for topic, partition in found:
        by_topic.setdefault(topic, set()).add(partition)
    for group in groups:
        at = committed.get(group, {})
        for topic in {topic for topic, _ in at} & by_topic.keys():
            here = {p: found[topic, p] for p in by_topic[topic]}
            offsets = {p: at[topic, p].offset for p in here if (topic, p) in at}
            yield from (((topic, p), offset) for p, offset in unread(offsets, here).items())
