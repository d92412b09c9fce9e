"""Engines keep to the journal: systems may do what follows from it, and nothing beside that."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx
import pytest

from bus.admin import Access, Admin, Rule, TopicSpec
from bus.errors import NotAuthorised
from bus.kafka import GroupConsumer, LogReader, Place, Producer, Record, accepts
from bus.registry import Registry
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.trust.lockout import denials
from tests.city import ADDRESSES, READINGS
from tests.engine import Engine
from tests.trust.city import City
from tests.waiting import until

pytestmark = pytest.mark.slow

OTHER = "de.util.other"
OPEN = f"feed.open.{READINGS}"
FOREIGN, FOREIGN_GROUP = f"feed.{OTHER}.{READINGS}", f"{OTHER}.reader"


class AtTheStart:
    """Reads every partition from its beginning."""

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        return dict.fromkeys(places, 0)

    def begin(self, place: Place, position: int) -> None: ...

    async def revoked(self, places: frozenset[Place]) -> None: ...


class Program:
    """What a system's program does, by hand."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka

    async def write(self, topic: str) -> None:
        async with Producer(self._kafka) as producer:
            await producer.append(topic, 0, [Record(b"k", b"v")], timeout=10)

    async def read(self, topic: str) -> None:
        async with LogReader(self._kafka) as reader:
            await reader.read(topic, 0, 0)

    async def join(self, group: str, topic: str) -> None:
        consumer = GroupConsumer(self._kafka, group, [topic], AtTheStart())
        await consumer.start()

        async def has_records() -> bool:
            return bool(await consumer.poll(0.1))

        try:
            await until(has_records)
        finally:
            await consumer.stop()

    async def move(self, group: str, topic: str) -> None:
        async with Admin(self._kafka) as admin:
            await admin.set_positions(group, {(topic, 0): (0, "")})

    async def make(self, topic: str) -> None:
        async with Admin(self._kafka) as admin:
            await admin.ensure_topic(TopicSpec(name=topic, partitions=1))

    async def may(self, what: Callable[[], Awaitable[None]]) -> bool:
        """Whether the engine lets it."""
        try:
            await what()
        except NotAuthorised:
            return False
        return True


@pytest.fixture
async def feeds(denying: Engine, city: City) -> None:
    """The feeds that there are, each with a record."""
    own = f"feed.{city.member}.{READINGS}"
    async with Admin(denying.settings) as admin, Producer(denying.settings) as producer:
        for topic in (OPEN, own, FOREIGN):
            await admin.ensure_topic(TopicSpec(name=topic, partitions=1))
            await producer.append(topic, 0, [Record(b"k", b"v")])


@pytest.fixture
async def program(system: KafkaSettings, city: City, feeds: None) -> Program:
    """The system's program, once the system has its rights."""
    program = Program(system)
    await until(lambda: program.may(lambda: program.write(READINGS)))
    return program


async def test_a_system_may_do_what_it_is_for(program: Program, city: City) -> None:
    own = f"feed.{city.member}.{READINGS}"
    for feed in (OPEN, own):
        await program.read(feed)
        await program.join(f"{city.member}.reader", feed)
        await program.move(f"{city.member}.stopped", feed)
    for kept in ("dead", "redrive"):
        topic = f"{kept}.{city.member}.{READINGS}"
        await program.make(topic)
        await program.write(topic)
        await program.read(topic)


Misdeed = Callable[[Program, City], Awaitable[None]]

MISDEEDS: list[tuple[str, Misdeed]] = [
    ("reads another's feed", lambda it, city: it.read(FOREIGN)),
    ("reads a shared topic", lambda it, city: it.read(READINGS)),
    ("reads the journal", lambda it, city: it.read("_stadtbus.journal")),
    ("joins another's group", lambda it, city: it.join(FOREIGN_GROUP, OPEN)),
    (
        "joins a group whose name only begins like its member's",
        lambda it, city: it.join(f"{city.member}x.reader", OPEN),
    ),
    ("takes another's feed into its own group", lambda it, c: it.join(f"{c.member}.x", FOREIGN)),
    ("moves another's positions", lambda it, city: it.move(FOREIGN_GROUP, OPEN)),
    ("writes to a contract it is not registered for", lambda it, city: it.write(ADDRESSES)),
    ("writes to the open feed", lambda it, city: it.write(OPEN)),
    ("writes to its own feed", lambda it, city: it.write(f"feed.{city.member}.{READINGS}")),
    ("makes a feed", lambda it, city: it.make(f"feed.{city.member}.x.y.v1")),
    ("makes another's dead letters", lambda it, city: it.make(f"dead.{OTHER}.{READINGS}")),
]


@pytest.mark.parametrize(
    "misdeed", [one for _, one in MISDEEDS], ids=[said for said, _ in MISDEEDS]
)
async def test_a_system_that_does_more_is_refused(
    program: Program, city: City, misdeed: Misdeed
) -> None:
    with pytest.raises(NotAuthorised):
        await misdeed(program, city)


async def test_what_it_is_not_registered_for_any_more_is_taken(
    program: Program, city: City
) -> None:
    says = {"system": city.system, "topics": [ADDRESSES]}
    await city.say("system-publishes", says, city.key)
    await until(lambda: program.may(lambda: program.write(ADDRESSES)))
    assert not await program.may(lambda: program.write(READINGS))


async def test_drift_is_found_told_and_repaired(
    denying: Engine, program: Program, city: City, telemetry: Telemetry
) -> None:
    """What an administrator gives a system by hand, or takes; other users' rules stay."""
    given = Rule(user=city.system, kind="topic", name=READINGS, operation="Read")
    taken = Rule(user=city.system, kind="topic", name=READINGS, operation="Write")
    denied = Rule(
        user=city.system, kind="topic", name="x", operation="Read", allow=False, host="192.0.2.1"
    )
    operators = Rule(user=f"operator{city.member}", kind="topic", name="x", operation="Read")
    async with Access(denying.settings) as access:
        await access.add_rules([given, denied, operators])
        await access.remove_rules([taken])

        async def repaired() -> bool:
            there = set(await access.rules())
            return given not in there and taken in there

        await until(repaired)
        assert {denied, operators} <= set(await access.rules())
        await access.remove_rules([denied, operators])

    def told(state: str) -> float:
        value = telemetry.registry.get_sample_value(
            "stadtbus_rights_repaired_total", {"state": state}
        )
        return value or 0

    await until(lambda: told("surplus") >= 1 and told("missing") >= 1)
    looked = telemetry.registry.get_sample_value("stadtbus_rights_last_look_timestamp_seconds")
    assert looked


async def test_a_system_without_a_login_is_told_of_and_gets_none(
    denying: Engine, client: object, city: City, telemetry: Telemetry
) -> None:
    async with Access(denying.settings) as access:
        await access.remove_passwords(city.system)

        def without() -> bool:
            value = telemetry.registry.get_sample_value("stadtbus_rights_systems_without_password")
            return bool(value)

        await until(without)
        assert city.system not in await access.users()


async def test_an_open_connection_feels_it_at_its_next_request(
    denying: Engine, system: KafkaSettings, city: City, program: Program
) -> None:
    async with Producer(system) as producer:

        async def may() -> bool:
            try:
                await producer.append(READINGS, 0, [Record(None, b"x")], timeout=10)
            except NotAuthorised:
                return False
            return True

        async def may_not() -> bool:
            return not await may()

        await until(may)
        await city.say("member-suspended", {"member": city.member}, city.root)
        await until(may_not, deadline=5)
        assert await accepts(denying.settings, *system.login())  # it keeps its password
        await city.say("member-resumed", {"member": city.member}, city.root)
        await until(may)
        await city.say("system-retired", {"system": city.system}, city.root)
        await until(may_not, deadline=5)

        async def shut_out() -> bool:
            return not await accepts(denying.settings, *system.login())

        await until(shut_out, deadline=5)
        await _comes_back(denying, city.system)


async def _comes_back(denying: Engine, name: str) -> None:
    """A denial that somebody takes out of force is put back."""
    async with Access(denying.settings) as access:
        await access.remove_rules(denials(name))

        async def denied() -> bool:
            return set(denials(name)) <= set(await access.rules())

        await until(denied)


async def test_the_registry_answers_no_more_either(
    registry: Registry, ca: Path, system: KafkaSettings, city: City
) -> None:
    """Though it remembers that the password was right."""
    context = ssl.create_default_context(cafile=str(ca))
    async with httpx.AsyncClient(
        base_url=registry.url, verify=context, auth=system.login(), trust_env=False
    ) as http:
        assert (await http.get("/subjects")).status_code == 200
        await city.say("member-suspended", {"member": city.member}, city.root)
        answer = await http.get("/subjects")
        assert (answer.status_code, answer.json()["error_code"]) == (403, 40303)
