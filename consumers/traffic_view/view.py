"""One run of the traffic view: from observations to windows."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import faust

from bus.admin import Admin, TopicSpec
from bus.errors import BusUnavailable, InvalidSettings
from bus.event import member_of
from bus.kafka import LogReader
from bus.schemas import SchemaClient
from bus.settings import KafkaSettings, Settings
from bus.subscriber.dead import DeadLetters
from bus.subscriber.sources import decoder_for
from bus.views.traffic import TOPIC
from consumers.progress import Progress
from consumers.traffic_view.application import LoadTable, application, fetched
from consumers.traffic_view.intake import Intake
from consumers.traffic_view.rules import marks
from consumers.traffic_view.transport import Consumer, Transport

CONTRACT = "mobility.traffic-load.v1"
LOOK = 2.0
"""Seconds between two looks for what Faust has left out."""


async def keep_view(settings: Settings, stop: asyncio.Event, progress: Progress) -> None:
    """Keep the view until `stop` is set.

    Raises:
        InvalidSettings: the group's name does not begin with a member's id.
        BusError: registry or engine cannot be used, now or later.
    """
    member = member_of(progress.group)
    if member is None:
        raise InvalidSettings(
            "a group is named after its member, such as de.agency.verkehr.traffic-view",
            where=f'group "{progress.group}"',
        )
    kafka = settings.kafka
    async with AsyncExitStack() as opened:
        registry = await opened.enter_async_context(SchemaClient.of(settings, settings.cache))
        contract = await registry.contract(CONTRACT)
        decoder = decoder_for(member, contract, registry)
        source = decoder.source
        dead = DeadLetters(kafka, member, progress.group)
        opened.push_async_callback(dead.stop)
        await dead.prepare({source: contract.partitions})
        await prepare(kafka, contract.partitions)
        reader = await opened.enter_async_context(LogReader(kafka))
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        app = application(progress.group, kafka, contract.partitions, folder)
        table = LoadTable(app, contract.partitions)
        intake = Intake(
            source,
            contract,
            decoder=decoder,
            reader=reader,
            dead=dead,
            windows=table,
            progress=progress,
        )
        guard = _Guard()
        _listen(app, source, intake, guard)
        begin = _share(app, source, table, intake, _once(progress.ready))
        table.table.on_recover(lambda: guard(begin()))
        await _run(app, stop, guard.failure)
    progress.done()


async def prepare(kafka: KafkaSettings, partitions: int) -> None:
    """Make the view's topic, unless it is there.

    Raises:
        Conflict: it is there with another number of partitions.
        BusUnavailable, NotAuthorised: the engine cannot be reached, or says no.
    """
    async with Admin(kafka) as admin:
        configs = {"cleanup.policy": "compact"}
        await admin.ensure_topic(TopicSpec(name=TOPIC, partitions=partitions, configs=configs))


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """Return what calls something the first time, and does nothing after that."""
    left = [call]
    return lambda: left.pop()() if left else None


class _Guard:
    """Has the first failure end the program: Faust would log it and go on with the next event."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # whatever it is, it is told at the program's end
            if not self.failure.done():
                self.failure.set_exception(error)


def _listen(app: faust.App, source: str, intake: Intake, guard: _Guard) -> None:
    """Connect what hands records over with what takes them in."""
    topic = app.topic(source, key_serializer="raw", value_serializer="raw", allow_empty=True)
    app.transport = transport = Transport(app.conf.broker_consumer, app)
    transport.read_on = intake.read_on

    @app.agent(topic)
    async def take(stream: faust.StreamT[bytes]) -> None:
        async for event in stream.events():
            await guard(intake.deliver(fetched(event.message)))

    @app.timer(LOOK)  # type: ignore[untyped-decorator]  # Faust does not say what it returns
    async def look() -> None:
        await guard(intake.catch_up())
        if isinstance(app.consumer, Consumer):
            await guard(app.consumer.keep(intake.positions))


def _share(
    app: faust.App, source: str, table: LoadTable, intake: Intake, joined: Callable[[], None]
) -> Callable[[], Awaitable[None]]:
    """Return what begins with the partitions that this member has; it ends when they are taken."""

    @app.on_partitions_revoked.connect
    async def revoked(*_: object, **__: object) -> None:
        intake.end()

    async def begin() -> None:
        mine = {tp.partition for tp in app.consumer.assignment() if tp.topic == source}
        table.keep_only(mine)
        await intake.begin(mine, marks(table.items()))
        joined()

    return begin


async def _run(app: faust.App, stop: asyncio.Event, failure: asyncio.Future[None]) -> None:
    """Run the application until `stop` is set, or something fails."""
    starting = asyncio.create_task(app.start())
    asked = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(app.wait_until_stopped())
    try:
        await asyncio.wait((asked, ended, failure), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await app.stop()
        for task in (starting, asked, ended):
            task.cancel()
        await asyncio.gather(starting, asked, ended, return_exceptions=True)
    if failure.done():
        failure.result()
    if app.crash_reason is not None:
        raise BusUnavailable(
            f"Faust gave up: {app.crash_reason!r}",
            where=TOPIC,
            remedy="see whether the engine runs; the view goes on where it was",
        ) from app.crash_reason
