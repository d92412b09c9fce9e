"""The rights that docs/kafka.md names are enough on an engine that denies everything else."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from bus import BadEvent, Event, Publisher, Subscriber
from bus.admin.connection import _config
from bus.errors import NotAuthorised
from bus.kafka import GroupConsumer, LogReader, Place, Producer, Record
from bus.letters import Decider, Filter, Shelf, waiting
from bus.registry import Registry
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from bus.watch.canary import Canary
from bus.watch.surveyor import Surveyor
from tests.city import GROUP, READINGS, SYSTEM, reading, records
from tests.engine import Engine
from tests.waiting import until

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "kafka.md"
OPERATIONS = {"DescribeConfigs": "DESCRIBE_CONFIGS"}
ROW = re.compile(r"\| (\w+) \| (topic|group|transactional-id) \| `(\S+)` \| ([\w, ]+) \|")


def rules() -> Iterator[AclBinding]:
    """Return what the page says, as the engine wants it."""
    for user, kind, name, operations in ROW.findall(PAGE.read_text(encoding="utf-8")):
        for operation in operations.split(", "):
            yield AclBinding(
                ResourceType[kind.upper().replace("-", "_")],
                name,
                ResourcePatternType.PREFIXED,
                f"User:{user}",
                "*",
                AclOperation[OPERATIONS.get(operation, operation.upper())],
                AclPermissionType.ALLOW,
            )


@pytest.fixture
async def users(denying: Engine) -> dict[str, KafkaSettings]:
    """The page's users, with the rights that it gives them."""
    wanted = list(rules())
    assert len(wanted) > 10
    admin = AdminClient(_config(denying.settings))
    for made in admin.create_acls(wanted).values():
        made.result(10)
    names = {rule.principal.removeprefix("User:") for rule in wanted}
    return {name: await denying.secure.add_user(name) for name in names}


@pytest.fixture
async def registry(users: dict[str, KafkaSettings]) -> AsyncIterator[RegistrySettings]:
    """A registry that runs as the node."""
    free = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    async with Registry(Settings(kafka=users["node"], registry=free), Telemetry()) as running:
        url = f"http://{running.address}"
        yield RegistrySettings(listen=running.address, url=url)


async def test_they_are_enough(
    users: dict[str, KafkaSettings], registry: RegistrySettings, denying: Engine
) -> None:
    publisher = Settings(kafka=users["publisher"], registry=registry)
    async with Publisher(SYSTEM, publisher) as city:
        receipts = [await city.publish(READINGS, reading(number)) for number in range(3)]
    found: list[str] = []
    subscriber = Settings(kafka=users["subscriber"], registry=registry)
    async with Subscriber(GROUP, [READINGS], subscriber) as agency:

        async def handle(event: Event) -> None:
            found.append(event.id)
            if len(found) == 3:
                agency.stop()
            if len(found) == 2:
                raise BadEvent("this one is set aside")

        await agency.run(handle)
    assert found == [receipt.id for receipt in receipts]
    assert len(await records(denying.settings, f"dead.de.agency.statistik.{READINGS}")) == 1
    async with Surveyor(users["node"]) as surveyor:
        survey = await surveyor.survey()
        assert [(one.group, one.records) for one in survey.subscriptions()] == [(GROUP, 0)]
        assert survey.topics[READINGS].retention == 30 * 86_400
        assert survey.topics[READINGS].size is None, "this takes Describe on the cluster"
    canary = Telemetry()
    flying = Canary(users["node"], canary, group="_stadtbus.canary.test.1")
    await flying.start()
    arrived = "stadtbus_canary_roundtrip_seconds_count"
    await until(lambda: (canary.registry.get_sample_value(arrived) or 0) > 0)
    await flying.stop()
    dead = f"dead.de.agency.statistik.{READINGS}"
    assert survey.dead == {dead: 1}
    async with Shelf(users["operator"]) as shelf:
        letters = await waiting(shelf, dead, Filter())
    assert len((await Decider(users["operator"], "operator").redrive(letters)).done) == 1
    async with Surveyor(users["node"]) as surveyor:
        assert (await surveyor.survey()).dead == {dead: 0}


async def test_they_are_no_more_than_that(
    users: dict[str, KafkaSettings], registry: RegistrySettings
) -> None:
    async with Publisher(SYSTEM, Settings(kafka=users["publisher"], registry=registry)) as city:
        await city.publish(READINGS, reading())
    async with LogReader(users["publisher"]) as reader:
        with pytest.raises(NotAuthorised) as raised:
            await reader.read(READINGS, 0, 0)
    assert_lacks(raised.value, f"Read on the topic {READINGS}", users["publisher"])
    async with Producer(users["subscriber"]) as producer:
        with pytest.raises(NotAuthorised) as raised:
            await producer.append(READINGS, 0, [Record(b"k", b"v")])
    assert_lacks(raised.value, f"Write on the topic {READINGS}", users["subscriber"])


@pytest.mark.parametrize(
    ("user", "group", "topic", "right"),
    [
        pytest.param(
            "subscriber",
            "de.agency.other.reader",
            READINGS,
            "Read on the group de.agency.other.reader",
            id="a foreign group",
        ),
        pytest.param(
            "subscriber", GROUP, "hidden", "Describe on the topic hidden", id="a hidden topic"
        ),
    ],
)
async def test_a_member_of_a_group_is_told_what_it_lacks(
    users: dict[str, KafkaSettings],
    registry: RegistrySettings,
    user: str,
    group: str,
    topic: str,
    right: str,
) -> None:
    async with Publisher(SYSTEM, Settings(kafka=users["publisher"], registry=registry)) as city:
        await city.publish(READINGS, reading())
    consumer = GroupConsumer(users[user], group, [topic], AtTheStart())
    with pytest.raises(NotAuthorised) as raised:
        await polled(consumer)
    assert_lacks(raised.value, right, users[user])


class AtTheStart:
    """Reads every partition from its beginning."""

    async def positions(self, places: frozenset[Place]) -> Mapping[Place, int]:
        return dict.fromkeys(places, 0)

    def begin(self, place: Place, position: int) -> None: ...

    async def revoked(self, places: frozenset[Place]) -> None: ...


async def polled(consumer: GroupConsumer) -> None:
    """Poll until there are records, or it is refused."""
    await consumer.start()
    try:
        await until(lambda: has_records(consumer))
    finally:
        await consumer.stop()


async def has_records(consumer: GroupConsumer) -> bool:
    return bool(await consumer.poll(0.1))


def assert_lacks(error: NotAuthorised, right: str, user: KafkaSettings) -> None:
    assert error.what == f"the user {user.username} lacks the right {right}"
    assert error.where == user.bootstrap
    assert f"grant {right} to {user.username}" in error.remedy
