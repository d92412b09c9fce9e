"""Dead letters: records that were refused, untouched, with the reason beside them."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from bus.admin import Admin, TopicSpec
from bus.errors import BusUnavailable, EventTooLarge
from bus.event import write_time
from bus.kafka import Fetched, Producer, Record
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

LARGEST_LETTER = 2 * 2**20
"""A record of the largest size has to fit together with what is written beside it."""

DETAIL_BYTES = 1000
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0

BAD_EVENT = "bad-event"
"""The reason word for an event that its handler refused."""


def dead_topic(member: str, topic: str) -> str:
    """Return the topic that holds what a member's subscribers refused of another topic."""
    return f"dead.{member}.{topic}"


def letter(record: Fetched, reason: str, detail: str, group: str, now: datetime) -> Record:
    """Return the dead letter of a record: its own key, value and headers, and five more."""
    return Record(
        record.key,
        record.value,
        [
            *record.headers,
            ("stadtbus-dead-reason", reason.encode()),
            ("stadtbus-dead-detail", _cut(detail)),
            (
                "stadtbus-dead-origin",
                f"{record.topic}/{record.partition}/{record.offset}".encode(),
            ),
            ("stadtbus-dead-group", group.encode()),
            ("stadtbus-dead-time", write_time(now).encode()),
        ],
    )


def letters(
    record: Fetched, reason: str, detail: str, group: str, now: datetime
) -> Iterator[Record]:
    """Yield the dead letter of a record, then smaller ones, in case it is above a limit.

    What is left out is named in ``stadtbus-dead-without``; of the value, size and hash are kept.
    """
    whole = letter(record, reason, detail, group, now)
    yield whole
    added = []
    if record.value is not None:
        added = [
            ("stadtbus-dead-size", str(len(record.value)).encode()),
            ("stadtbus-dead-sha256", hashlib.sha256(record.value).hexdigest().encode()),
        ]
    without = "stadtbus-dead-without"
    yield whole._replace(value=None, headers=[*whole.headers, *added, (without, b"value")])
    own = whole.headers[len(record.headers) :]
    yield Record(None, None, [*own, *added, (without, b"key, value, headers")])


def _cut(detail: str) -> bytes:
    """Return a detail of bounded length that is whole UTF-8."""
    data = detail.encode(errors="backslashreplace")[:DETAIL_BYTES]
    return data.decode(errors="ignore").encode()


class DeadLetters:
    """Writes the dead letters of one group.

    Args:
        kafka: how to reach the engine.
        member: whose dead letters these are.
        group: the group that refuses.
    """

    def __init__(self, kafka: KafkaSettings, member: str, group: str) -> None:
        self._kafka, self._member, self._group = kafka, member, group
        self._producer: Producer | None = None
        self._starting = asyncio.Lock()

    async def prepare(self, topics: dict[str, int]) -> None:
        """Make the topics that dead letters of these topics go to.

        Args:
            topics: source topics with their numbers of partitions.

        Raises:
            BusUnavailable, NotAuthorised: the engine cannot be reached, or says no.
        """
        async with Admin(self._kafka) as admin:
            for topic, partitions in topics.items():
                await admin.ensure_topic(
                    TopicSpec(
                        name=dead_topic(self._member, topic),
                        partitions=partitions,
                        configs={
                            "cleanup.policy": "delete",
                            "retention.ms": str(90 * 86_400_000),
                            "message.timestamp.type": "LogAppendTime",
                            "max.message.bytes": str(LARGEST_LETTER),
                        },
                    )
                )

    async def put(self, record: Fetched, reason: str, detail: str) -> None:
        """Write a dead letter; return once the engine has it durably, however long that takes.

        A letter that is above the topic's limit is written without its value.
        """
        smaller = letters(record, reason, detail, self._group, datetime.now(UTC))
        written = [next(smaller)]
        topic = dead_topic(self._member, record.topic)
        pause = FIRST_PAUSE
        while True:
            try:
                producer = await self._ready()
                await producer.append(topic, record.partition, written)
            except EventTooLarge as error:
                log.warning("a dead letter is too large, and is written with less: %s", error)
                written = [next(smaller, written[0])]
            except BusUnavailable as error:
                log.warning("cannot write a dead letter yet: %s", error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop(self) -> None:
        """Close the connections."""
        if self._producer is not None:
            await self._producer.stop()

    async def _ready(self) -> Producer:
        # Most subscribers never refuse anything: connect when the first letter is written.
        async with self._starting:
            if self._producer is None:
                producer = Producer(
                    self._kafka, client_id=self._group, largest_batch=LARGEST_LETTER
                )
                await producer.start()
                self._producer = producer
            return self._producer
