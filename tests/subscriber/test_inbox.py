"""With an inbox each event takes effect once, whatever dies."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bus.errors import BadEvent, Conflict, InvalidSettings
from bus.event import Event
from bus.publisher import Publisher
from bus.subscriber import Inbox, RetryPolicy, Subscriber
from tests.city import GROUP, READINGS, SYSTEM, City, reading
from tests.waiting import until

pytestmark = pytest.mark.slow

PLACE = ("sensor.reading.v1", 0)
QUICK = RetryPolicy(first=0.01, longest=0.02, limit=3, pause=0.05)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    found = Inbox(f"sqlite:///{tmp_path}/effects.db")
    with found.engine.begin() as connection:
        connection.execute(text("CREATE TABLE effect (id TEXT, number INTEGER)"))
    yield found
    found.close()


def note(connection: Connection, event: Event) -> None:
    data = event.data or {}
    connection.execute(
        text("INSERT INTO effect VALUES (:id, :number)"),
        {"id": event.id, "number": int(data["result"])},
    )


def effects(inbox: Inbox) -> list[str]:
    with inbox.engine.connect() as connection:
        return [row[0] for row in connection.execute(text("SELECT id FROM effect ORDER BY rowid"))]


async def publish(city: City, count: int) -> list[str]:
    async with Publisher(SYSTEM, city.settings) as publisher:
        receipts = await publisher.publish_many(READINGS, [reading(n) for n in range(count)])
        return [receipt.id for receipt in receipts]


async def test_effect_and_position_are_one_transaction(inbox: Inbox) -> None:
    await inbox.open()
    await inbox.begin(GROUP, PLACE, 5)
    await inbox.begin(GROUP, PLACE, 0)

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO effect VALUES ('x', 1)"))
        raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        await inbox.apply(GROUP, PLACE, 5, 6, fail)
    assert (effects(inbox), await inbox.positions(GROUP, [PLACE])) == ([], {PLACE: 5})


async def test_who_was_taken_for_dead_cannot_apply_again(inbox: Inbox) -> None:
    await inbox.open()
    await inbox.begin(GROUP, PLACE, 0)

    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO effect VALUES ('x', 1)"))

    await inbox.apply(GROUP, PLACE, 0, 1, work)
    with pytest.raises(Conflict):
        await inbox.apply(GROUP, PLACE, 0, 1, work)
    assert effects(inbox) == ["x"]


async def test_a_handler_that_fails_leaves_nothing_behind(city: City, inbox: Inbox) -> None:
    ids = await publish(city, 5)
    failures = iter([OSError("database is locked")] * 4)

    def handle(event: Event, connection: Connection) -> None:
        note(connection, event)
        if event.id == ids[2]:
            for error in failures:
                raise error

    async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox, retry=QUICK) as subscriber:
        task = asyncio.create_task(subscriber.run(handle))
        await until(lambda: len(effects(inbox)) == 5)
        subscriber.stop()
        await task
    assert effects(inbox) == ids


async def test_a_batch_is_one_transaction_and_a_bad_event_leaves_it(
    city: City, inbox: Inbox
) -> None:
    ids = await publish(city, 50)

    def handle(events: Sequence[Event], connection: Connection) -> None:
        for event in events:
            note(connection, event)
            if event.id == ids[20]:
                raise BadEvent("not this one")

    async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox) as subscriber:
        task = asyncio.create_task(subscriber.run_batches(handle))
        await until(lambda: len(effects(inbox)) == 49)
        subscriber.stop()
        await task
    assert effects(inbox) == ids[:20] + ids[21:]


async def test_a_handler_in_another_thread_can_stop(city: City, inbox: Inbox) -> None:
    ids = await publish(city, 50)
    for count in (1, 2):
        async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox) as subscriber:

            def handle(
                event: Event, connection: Connection, subscriber: Subscriber = subscriber
            ) -> None:
                note(connection, event)
                subscriber.stop()

            await asyncio.wait_for(subscriber.run(handle), 20)
        assert effects(inbox) == ids[:count]


async def test_the_inbox_wins_over_the_groups_position(city: City, inbox: Inbox) -> None:
    """A database that was put back to an older state catches up from its own position."""
    ids = await publish(city, 10)

    def handle(event: Event, connection: Connection) -> None:
        note(connection, event)

    for _ in range(2):
        async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox) as subscriber:
            task = asyncio.create_task(subscriber.run(handle))
            await until(lambda: len(effects(inbox)) == 10)
            subscriber.stop()
            await task
        with inbox.engine.begin() as connection:
            connection.execute(text("DELETE FROM effect WHERE number >= 4"))
            connection.execute(text("UPDATE stadtbus_inbox SET position = 4 WHERE position = 10"))
    assert effects(inbox) == ids[:4]


async def test_a_position_that_another_member_moved_is_followed(city: City, inbox: Inbox) -> None:
    ids = await publish(city, 6)
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def handle(event: Event, connection: Connection) -> None:
        if event.id == ids[1]:
            loop.call_soon_threadsafe(failed.set)
            raise OSError("broken off")
        note(connection, event)

    async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox, retry=QUICK) as subscriber:
        task = asyncio.create_task(subscriber.run(handle))
        await asyncio.wait_for(failed.wait(), 20)
        with inbox.engine.begin() as connection:
            connection.execute(text("UPDATE stadtbus_inbox SET position = 4 WHERE position = 1"))
        await until(lambda: len(effects(inbox)) == 3)
        subscriber.stop()
        await task
    assert effects(inbox) == [ids[0], ids[4], ids[5]]


PROGRAM = """
import asyncio, sys
from sqlalchemy import text
from bus.settings import load
from bus.subscriber import Inbox, Subscriber

def handle(event, connection):
    connection.execute(text("INSERT INTO effect VALUES (:id, 0)"), {"id": event.id})
    print(event.id, flush=True)

async def main():
    inbox = Inbox(sys.argv[1])
    async with Subscriber("de.agency.statistik.test", ["sensor.reading.v1"], inbox=inbox) as one:
        await one.run(handle)

asyncio.run(main())
"""


@pytest.mark.slow  # a member that was killed is missed only when its session ends
async def test_a_subscriber_that_is_killed_again_and_again_applies_each_event_once(
    city: City, inbox: Inbox, tmp_path: Path
) -> None:
    ids = await publish(city, 300)
    environment = {
        **os.environ,
        "STADTBUS_KAFKA__BOOTSTRAP": city.settings.kafka.bootstrap,
        "STADTBUS_REGISTRY__URL": city.settings.registry.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for round_ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(inbox.engine.url),
            env=environment, cwd=tmp_path, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        # The last one reads to the end; those before are killed in mid-stream.
        for _ in range(40 + 7 * round_):
            await asyncio.wait_for(process.stdout.readline(), 20)
        if round_ == 2:
            await until(lambda: len(effects(inbox)) >= 300)
        process.kill()
        await process.communicate()
    assert effects(inbox) == ids


async def test_an_inbox_needs_a_plain_function(city: City, inbox: Inbox) -> None:
    async def handle(event: Event) -> None:
        raise AssertionError(event)

    async with Subscriber(GROUP, [READINGS], city.settings, inbox=inbox) as subscriber:
        with pytest.raises(InvalidSettings, match="plain function with an inbox"):
            await subscriber.run(handle)
