"""Who else sees what was published: the address book as a program, and a reader of the topic."""

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from bus.cli.demo.programs import Process, Program
from bus.event import read_envelope
from bus.kafka import LogReader
from bus.settings import Settings, variable
from ops.torture.judgement import Row


class AddressBook:
    """The address book as it is delivered: a process, with an SQLite database of its own.

    Args:
        settings: where the bus is.
        data: the folder for its database and its log.
    """

    def __init__(self, settings: Settings, data: Path) -> None:
        self.ids: set[str] = set()
        self._database = data / "address-book.db"
        self._process = Process(
            Program(
                title="address book",
                module="consumers.address_book",
                arguments=("--database", f"sqlite:///{self._database.absolute()}", "-o", "json"),
            ),
            data / "address-book.log",
            {
                variable("kafka.bootstrap"): settings.kafka.bootstrap,
                variable("kafka.answer_seconds"): str(settings.kafka.answer_seconds),
                variable("registry.url"): settings.registry.url,
            },
            self._note,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the program for the time of a block."""
        await self._process.start()
        try:
            await self._process.ready()
            yield
        finally:
            await self._process.stop()

    def check(self) -> None:
        """Raise what the program ended with, if it did."""
        if self._process.failed:
            raise self._process.failure()

    def rows(self) -> dict[str, Row]:
        """Return what it has of each address."""
        query = "select address_id, revision, event_id from address"
        with closing(sqlite3.connect(self._database)) as database:
            return {key: Row(revision, id_) for key, revision, id_ in database.execute(query)}

    def _note(self, report: dict[str, Any]) -> None:
        if report["event"] == "delivered":
            self.ids.update(report["ids"])


async def in_topic(settings: Settings, topic: str) -> dict[str, list[str]]:
    """Return the ids of all events in a topic, by key and in order, read by nobody's group."""
    found = defaultdict(list)
    async with LogReader(settings.kafka) as reader:
        for partition, (first, end) in (await reader.bounds(topic)).items():
            offset = first
            while offset < end:
                for record in await reader.read(topic, partition, offset):
                    envelope = read_envelope(topic, record.headers)
                    found[(record.key or b"").decode()].append(envelope.id)
                    offset = record.offset + 1
    return dict(found)
