"""Tokens on the engine: the topic, and reading and writing it."""

from collections.abc import Iterable

from bus.admin import Admin, TopicSpec
from bus.errors import NotFound
from bus.kafka import LogReader, Producer, Record
from bus.settings import KafkaSettings
from bus.tokens.book import LOCK, Book
from bus.tokens.token import Token

TOPIC, PARTITION = "_stadtbus.tokens", 0
SPEC = TopicSpec(
    name=TOPIC, partitions=1, configs={"cleanup.policy": "compact", "retention.ms": "-1"}
)
CLIENT_ID = "stadtbus-tokens"


class TokenLog:
    """Reads the topic from its beginning, and goes on from there.

    Args:
        reader: reads it; started and stopped by its owner.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._position: int | None = None
        self.book = Book()

    async def follow(self) -> Book:
        """Take in what was written since the last time, and return what there is.

        Raises:
            NotAuthorised: this user may not read tokens.
            BusUnavailable: the engine cannot be reached.
        """
        try:
            first, end = (await self._reader.bounds(TOPIC))[PARTITION]
        except NotFound:  # nobody has ever made one
            self._position, self.book = None, Book()
            return self.book
        begins = self._position is None or not first <= self._position <= end
        # Into another book, so that nobody is asked of a part of it.
        book = Book() if begins else self.book
        position = first if self._position is None or begins else self._position
        while position < end:
            records = await self._reader.read(TOPIC, PARTITION, position, max_wait=0)
            if not records:  # what is left was compacted away
                break
            for record in records:
                book.take(record.key, record.value)
            position = records[-1].offset + 1
        self._position, self.book = position, book
        return book


async def all_tokens(kafka: KafkaSettings) -> Book:
    """Return the tokens that there are.

    Raises:
        NotAuthorised, BusUnavailable: as `TokenLog.follow` does.
    """
    async with LogReader(kafka, client_id=CLIENT_ID) as reader:
        return await TokenLog(reader).follow()


async def keep(kafka: KafkaSettings, token: Token) -> None:
    """Make a token count, everywhere within seconds.

    Raises:
        NotAuthorised: this needs Create and Write on the topic.
        BusUnavailable, OutcomeUnknown: the engine cannot be reached.
    """
    await _write(kafka, [Record(token.id.encode(), token.record())])


async def revoke(kafka: KafkaSettings, ids: Iterable[str]) -> None:
    """Let tokens count no more, everywhere within seconds.

    Raises:
        NotAuthorised, BusUnavailable, OutcomeUnknown: as for `keep`.
    """
    await _write(kafka, [Record(name.encode(), None) for name in ids])


async def lock(kafka: KafkaSettings, out: Iterable[str], again: Iterable[str] = ()) -> None:
    """Let the tokens of some users not count for now, and those of others again.

    Raises:
        NotAuthorised, BusUnavailable, OutcomeUnknown: as for `keep`.
    """
    await _write(
        kafka,
        [Record(f"{LOCK}{user}".encode(), b"{}") for user in out]
        + [Record(f"{LOCK}{user}".encode(), None) for user in again],
    )


async def _write(kafka: KafkaSettings, records: list[Record]) -> None:
    if not records:
        return
    async with Admin(kafka) as admin:
        await admin.ensure_topic(SPEC)
    async with Producer(kafka, client_id=CLIENT_ID) as producer:
        await producer.append(TOPIC, PARTITION, records)
