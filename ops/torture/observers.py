"""Who else sees what was published: the address book as a program, and a reader of the topic."""

import asyncio
import json
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from bus.cli.demo.programs import Process, Program
from bus.event import read_envelope
from bus.kafka import LogReader
from bus.settings import Settings, variable
from ops.torture import stall
from ops.torture.judgement import State

_NOTE_STATES = """
create table torture_state (
    number integer primary key autoincrement,
    address_id text not null,
    revision integer not null,
    event_id text not null
);
create trigger torture_note after insert on address begin
    insert into torture_state (address_id, revision, event_id)
    values (new.address_id, new.revision, new.event_id);
end;
"""
"""The program writes a row anew for each transaction that changes it; this notes it inside that."""


class _Killable(Process):
    """A program that may be ended as a power cut would end it."""

    async def kill(self) -> None:
        """End it by a signal that it cannot handle."""
        if self._process is not None and self.exit_code is None:
            self._stopping = True
            self._process.kill()
        with suppress(json.JSONDecodeError):  # of a line that the signal cut off
            await self.end()


class AddressBook:
    """The address book as it is delivered: a process, with an SQLite database of its own.

    Args:
        settings: where the bus is.
        data: the folder for its database and its log.
    """

    def __init__(self, settings: Settings, data: Path) -> None:
        self._settings, self._data = settings, data
        self._database = data / "address-book.db"
        self._delivered = asyncio.Event()
        self._process = self._program()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the program for the time of a block, and note all states of its table's rows."""
        await self._process.start()
        try:
            await self._process.ready()
            with self._connected() as database:
                database.executescript(_NOTE_STATES)
            yield
        finally:
            await self._process.stop()

    async def killed_and_started(self) -> None:
        """Kill the program just after an effect, and start it until it takes events in again.

        What was committed a moment ago is not yet stored as the group's position.

        Raises:
            BusError: it ends again and again, until it should have gone on.
            Stalled: it takes nothing in.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + stall.SECONDS
        try:
            async with asyncio.timeout_at(until):
                await self._next_delivery()
        except TimeoutError:
            raise _idle() from None
        await self._process.kill()
        while not await self._taking_in(until - clock()):
            if clock() > until:
                raise self._process.failure()

    async def _taking_in(self, seconds: float) -> bool:
        """Start the program; return whether it took events in, instead of ending at its start."""
        self._process = self._program()
        await self._process.start()
        delivery = asyncio.create_task(self._next_delivery())
        end = asyncio.create_task(self._process.end())
        done, _ = await asyncio.wait(
            {delivery, end}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED
        )
        delivery.cancel()
        end.cancel()
        if not done:
            raise _idle()
        return delivery in done

    async def _next_delivery(self) -> None:
        self._delivered.clear()
        await self._delivered.wait()

    def check(self) -> None:
        """Raise what the program ended with, if it did."""
        if self._process.failed:
            raise self._process.failure()

    def last(self) -> dict[str, str]:
        """Return the id of the event that each address stands on."""
        with self._connected() as database:
            return dict(database.execute("select address_id, event_id from address").fetchall())

    def states(self) -> dict[str, list[State]]:
        """Return what it ever had of each address, in the order of its transactions."""
        found = defaultdict(list)
        query = "select address_id, revision, event_id from torture_state order by number"
        with self._connected() as database:
            for key, revision, id_ in database.execute(query):
                found[key].append(State(revision, id_))
        return dict(found)

    def _connected(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._database))

    def _program(self) -> _Killable:
        return _Killable(
            Program(
                title="address book",
                module="consumers.address_book",
                arguments=("--database", f"sqlite:///{self._database.absolute()}", "-o", "json"),
            ),
            self._data / "address-book.log",
            {
                variable("kafka.bootstrap"): self._settings.kafka.bootstrap,
                variable("kafka.answer_seconds"): str(self._settings.kafka.answer_seconds),
                variable("registry.url"): self._settings.registry.url,
            },
            self._note,
        )

    def _note(self, report: dict[str, Any]) -> None:
        if report["event"] == "delivered":
            self._delivered.set()


def _idle() -> stall.Stalled:
    return stall.Stalled(["the address book took nothing in"])


async def in_topic(settings: Settings, topic: str) -> dict[str, list[str]]:
    """Return the ids of all events in a topic, by key and in order, read by nobody's group.

    Raises:
        Stalled: a partition cannot be read to its end.
        BusUnavailable: nobody says where it ends.
    """
    found = defaultdict(list)
    clock = asyncio.get_running_loop().time
    async with LogReader(settings.kafka) as reader:
        for partition, (first, end) in (await reader.bounds(topic)).items():
            offset, since = first, clock()
            while offset < end:
                for record in await reader.read(topic, partition, offset):
                    envelope = read_envelope(topic, record.headers)
                    found[(record.key or b"").decode()].append(envelope.id)
                    offset, since = record.offset + 1, clock()
                if clock() - since > stall.SECONDS:
                    raise stall.Stalled(
                        [f"{topic}-{partition} cannot be read beyond {offset} of {end}"]
                    )
    return dict(found)
