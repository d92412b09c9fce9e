"""Who publishes to a topic: measured from what its newest events say of where they come from."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bus.errors import BusError
from bus.event import SOURCE
from bus.kafka import Fetched, LogReader
from bus.portal.aside import Aside
from bus.settings import KafkaSettings

NEWEST = 1000
"""Events of a topic that are looked at."""

MOST_PARTITIONS = 32
"""Partitions that are looked into; each is a request."""

FRESH = 60.0
"""Seconds for which a sample is good."""

KEPT = 200
"""Topics whose samples are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A system that publishes.

    Args:
        source: its name, as its events have it.
        events: how many of the sample are its.
        rate: events a second between the sample's first and last; None: too few to tell.
    """

    source: str
    events: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was found in a topic's newest events.

    Args:
        events: how many were looked at.
        since: when the oldest of them was appended, in seconds since 1970; None: there is none.
        publishers: who published them, the busiest first.
        unnamed: how many do not say where they come from.
        trouble: why nothing could be read; None if it could.
    """

    events: int = 0
    since: float | None = None
    publishers: Sequence[Publisher] = ()
    unnamed: int = 0
    trouble: BusError | None = None


class Publishers:
    """Samples of topics that somebody asks about.

    Args:
        kafka: how to reach the engine.
        aside: where they are read.
        clock: seconds that only go forward.
    """

    def __init__(
        self, kafka: KafkaSettings, aside: Aside, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kafka, self._aside, self._clock = kafka, aside, clock
        self._samples: OrderedDict[str, tuple[float, Sample | None]] = OrderedDict()

    def of(self, topic: str) -> Sample | None:
        """Return what is known of a topic's publishers; None: it is being looked at.

        What is too old is looked at anew, which does not wait for the answer.
        """
        due, sample = self._samples.get(topic, (0.0, None))
        if self._clock() >= due:
            self._samples[topic] = (self._clock() + FRESH, sample)
            self._samples.move_to_end(topic)
            while len(self._samples) > KEPT:
                self._samples.popitem(last=False)
            self._aside.post(self._take(topic))
        return sample

    async def _take(self, topic: str) -> None:
        try:
            async with LogReader(self._kafka, client_id="stadtbus-publishers") as reader:
                found = sampled(await _newest(reader, topic))
        except BusError as error:
            found = Sample(trouble=error)
        self._samples[topic] = (self._clock() + FRESH, found)


def sampled(records: Iterable[Fetched]) -> Sample:
    """Return what records say of who published them.

    Args:
        records: the newest of a topic.
    """
    found, times = Counter[str](), []
    for record in records:
        times.append(record.appended)
        found[_source(record)] += 1
    span = max(times) - min(times) if times else 0.0
    unnamed = found.pop("", 0)
    return Sample(
        events=len(times),
        since=min(times, default=None),
        publishers=[
            Publisher(source=source, events=count, rate=count / span if span else None)
            for source, count in sorted(found.items(), key=lambda one: (-one[1], one[0]))
        ],
        unnamed=unnamed,
    )


def _source(record: Fetched) -> str:
    value = dict(record.headers).get("ce_source") or b""
    return value.decode(errors="backslashreplace").removeprefix(SOURCE)


async def _newest(reader: LogReader, topic: str) -> list[Fetched]:
    """Return a topic's newest records: as many of each partition, none from before the start."""
    bounds = list((await reader.bounds(topic)).items())[:MOST_PARTITIONS]
    share = max(NEWEST // max(len(bounds), 1), 1)
    found = []
    for partition, (first, end) in bounds:
        at = max(first, end - share)
        if at < end:
            read = await reader.read(topic, partition, at, max_wait=0)
            found += [record for record in read if record.offset < end]
    return found
