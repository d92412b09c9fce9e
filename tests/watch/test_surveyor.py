"""What is found out about topics and groups, the same on both engines."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from confluent_kafka import Producer as Transactional
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from bus import Event, Publisher, Subscriber
from bus.admin import Admin, TopicSpec
from bus.kafka import GroupConsumer, Producer, Record
from bus.settings import Address, KafkaSettings
from bus.watch.survey import Subscription, Survey
from bus.watch.surveyor import Surveyor
from bus.watch.totals import Totals
from tests.broker.raw import Raw
from tests.city import GROUP, READINGS, SYSTEM, City, reading
from tests.kafka.batches import record, sealed
from tests.test_rights import AtTheStart
from tests.waiting import until

TOPIC, OTHER = "watch.events.v1", "watch.other.v1"


@pytest.fixture
async def admin(bare: KafkaSettings) -> AsyncIterator[Admin]:
    async with Admin(bare) as one:
        for name in (TOPIC, OTHER):
            configs = {"retention.ms": "3600000", "message.timestamp.type": "LogAppendTime"}
            await one.ensure_topic(TopicSpec(name=name, partitions=2, configs=configs))
        yield one


@pytest.fixture
async def surveyor(bare: KafkaSettings, admin: Admin) -> AsyncIterator[Surveyor]:
    async with Surveyor(bare) as one:
        yield one


async def append(kafka: KafkaSettings, topic: str, partition: int, count: int) -> None:
    async with Producer(kafka) as producer:
        for number in range(count):
            await producer.append(topic, partition, [Record(b"k", b"%d" % number)])


def of(survey: Survey, group: str, topic: str = TOPIC) -> Subscription:
    return survey.groups[group].subscriptions[topic]


def delete_before(kafka: KafkaSettings, offset: int) -> None:
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for gone in client.delete_records([TopicPartition(TOPIC, 0, offset)]).values():
        gone.result(10)


def write_transactions(kafka: KafkaSettings) -> None:
    """Commit one record, and take one back."""
    producer = Transactional({"bootstrap.servers": kafka.bootstrap, "transactional.id": "watched"})
    producer.init_transactions(30)
    for commit in (True, False):
        producer.begin_transaction()
        producer.produce(TOPIC, b"v", partition=0)
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)


async def test_lag_on_both_engines(bare: KafkaSettings, admin: Admin, surveyor: Surveyor) -> None:
    await append(bare, TOPIC, 0, 4)
    await append(bare, TOPIC, 1, 3)
    await admin.set_positions("done", {(TOPIC, 0): (4, ""), (TOPIC, 1): (3, "")})
    await admin.set_positions("half", {(TOPIC, 0): (4, ""), (TOPIC, 1): (1, "")})
    await admin.set_positions("one", {(TOPIC, 0): (4, "x")})
    await admin.set_positions("ahead", {(TOPIC, 0): (9, ""), (TOPIC, 1): (3, "")})
    before = time.time()
    survey = await surveyor.survey()
    seen = {name: of(survey, name) for name in ("done", "half", "one", "ahead")}
    assert {n: (one.records, one.lost, one.ahead) for n, one in seen.items()} == {
        "done": (0, 0, 0),
        "half": (2, 0, 0),
        "one": (3, 0, 0),
        "ahead": (0, 0, 5),
    }
    assert (seen["done"].seconds, seen["ahead"].seconds) == (0.0, 0.0)
    for name in ("half", "one"):
        seconds = seen[name].seconds
        assert seconds is not None
        assert 0 <= seconds <= survey.at - before + 30
    assert survey.groups["done"].state == "empty"
    assert survey.groups["done"].members == 0
    # A record is as old as it is: what is known is not asked again, and grows with the clock.
    again = await surveyor.survey()
    aged = of(again, "half").seconds
    first = seen["half"].seconds
    assert aged is not None
    assert first is not None
    assert aged - first == pytest.approx(again.at - survey.at, abs=0.01)
    assert of(again, "half").moved == seen["half"].moved
    await admin.set_positions("half", {(TOPIC, 1): (3, "")})
    moved = of(await surveyor.survey(), "half")
    assert (moved.records, moved.seconds) == (0, 0.0)
    assert moved.moved is not None
    assert moved.moved > again.at


async def test_topics_on_both_engines(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    empty = (await surveyor.survey()).topics[TOPIC]
    assert (empty.partitions, empty.records, empty.newest) == (2, 0, None)
    assert empty.retention == 3600.0
    before = time.time()
    await append(bare, TOPIC, 0, 3)
    one = await surveyor.survey()
    topic = one.topics[TOPIC]
    assert (topic.records, topic.end, topic.bounds) == (3, 3, {0: (0, 3), 1: (0, 0)})
    assert topic.newest is not None
    assert before - 1 <= topic.newest <= one.at + 1
    async with Surveyor(bare) as another:
        size = (await another.survey()).topics[TOPIC].size
    assert size is not None
    assert size > 0


async def test_what_was_deleted_unread_is_an_alarm_of_its_own(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    await append(bare, TOPIC, 0, 5)
    await admin.set_positions("expired", {(TOPIC, 0): (1, "")})
    await asyncio.to_thread(delete_before, bare, 4)
    one = of(await surveyor.survey(), "expired")
    assert (one.lost, one.records) == (3, 1)
    assert one.seconds is not None


async def test_what_was_lost_and_what_came_stays_counted(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    totals, counted = Totals(), []

    async def look() -> None:
        totals.take(await surveyor.survey())
        counted.append((totals.appended[TOPIC], totals.lost["expired", TOPIC]))

    await append(bare, TOPIC, 0, 5)
    await admin.set_positions("expired", {(TOPIC, 0): (1, "")})
    await look()
    await asyncio.to_thread(delete_before, bare, 4)
    await append(bare, TOPIC, 0, 3)
    await look()
    await admin.set_positions("expired", {(TOPIC, 0): (8, "")})
    await look()
    assert counted == [(5, 0), (8, 3), (8, 3)]


async def test_some_groups_alone(bare: KafkaSettings, admin: Admin, surveyor: Surveyor) -> None:
    await append(bare, TOPIC, 0, 1)
    await admin.set_positions("one", {(TOPIC, 0): (0, "")})
    await admin.set_positions("two", {(OTHER, 0): (0, "")})
    survey = await surveyor.survey(["one", "nobody"])
    assert list(survey.groups) == ["one"]
    assert list(survey.topics) == [TOPIC]
    assert of(survey, "one").records == 1


async def test_many_positions_in_one_partition_take_few_fetches(
    bare: KafkaSettings,
    admin: Admin,
    surveyor: Surveyor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await append(bare, TOPIC, 0, 40)
    for number in range(40):
        await admin.set_positions(f"g{number:02}", {(TOPIC, 0): (number, "")})
    asked = counting(surveyor, monkeypatch)
    survey = await surveyor.survey()
    ages = [of(survey, f"g{number:02}").seconds for number in range(40)]
    assert None not in ages
    assert ages == sorted(ages, key=lambda age: -(age or 0)), "an earlier record is no younger"
    assert asked("FetchRequest") <= 2
    assert asked("OffsetFetch") == 1
    assert asked("OffsetRequest") == 2
    await surveyor.survey()
    assert asked("FetchRequest") <= 2, "nothing moved, so nothing is read again"


def counting(surveyor: Surveyor, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Count the requests of a surveyor by their kind."""
    seen: list[str] = []
    inquiry = surveyor._inquiry
    ask = inquiry.ask

    async def noted(broker: int, request: object) -> object:
        seen.append(type(request).__name__)
        return await ask(broker, request)

    monkeypatch.setattr(inquiry, "ask", noted)
    return seen.count


async def test_marks_of_transactions_are_not_unread(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    await asyncio.to_thread(write_transactions, bare)
    # One record was committed; what follows it is its mark, and a record that was taken back.
    await admin.set_positions("read", {(TOPIC, 0): (1, "")})
    await admin.set_positions("unread", {(TOPIC, 0): (0, "")})

    async def ended() -> bool:
        return (await surveyor.survey()).topics[TOPIC].end == 4

    await until(ended)
    survey = await surveyor.survey()
    assert (of(survey, "read").records, of(survey, "read").seconds) == (0, 0.0)
    assert of(survey, "unread").records == 4
    assert of(survey, "unread").seconds is not None


@pytest.mark.parametrize(
    "said",
    [pytest.param(50 * 365 * 86_400, id="in 50 years"), pytest.param(-50 * 365 * 86_400, id="ago")],
)
async def test_a_time_that_cannot_be_is_bounded(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor, said: int
) -> None:
    free = "watch.free.v1"
    configs = {"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"}
    await admin.ensure_topic(TopicSpec(name=free, partitions=1, configs=configs))
    time_ms = int(time.time() + said) * 1000
    await asyncio.to_thread(write_at, bare, free, time_ms)
    await admin.set_positions("g", {(free, 0): (0, "")})
    first = await surveyor.survey()
    newest = first.topics[free].newest
    assert newest is not None
    assert abs(newest - first.at) < 1
    again = await surveyor.survey()
    seconds = of(again, "g", free).seconds
    assert seconds is not None
    assert 0 < seconds == pytest.approx(again.at - newest, abs=0.01), "it grows with the clock"


def write_at(kafka: KafkaSettings, topic: str, time_ms: int) -> None:
    """Write one record that says its time."""
    producer = Transactional({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, b"v", partition=0, timestamp=time_ms)
    assert producer.flush(30) == 0


async def test_a_watch_that_begins_finds_the_newest_record_before_marks(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    before = time.time()
    await asyncio.to_thread(write_transactions, bare)

    async def ended() -> bool:
        return (await surveyor.survey()).topics[TOPIC].end == 4

    await until(ended)
    for _ in range(2):  # the second survey remembers it
        newest = (await surveyor.survey()).topics[TOPIC].newest
        assert newest is not None
    async with Surveyor(bare) as another:
        survey = await another.survey()
        newest = survey.topics[TOPIC].newest
        assert newest is not None
        assert before - 1 <= newest <= survey.at
        assert (await another.survey()).topics[TOPIC].newest == newest


async def test_a_subscriber_with_a_promise(city: City) -> None:
    async with (
        Publisher(SYSTEM, city.settings) as publisher,
        Surveyor(city.settings.kafka) as surveyor,
    ):
        await publisher.publish(READINGS, reading())
        async with Subscriber(GROUP, [READINGS], city.settings, promise=30.0) as subscriber:
            seen: list[Survey] = []

            async def handle(event: Event) -> None:
                async def joined() -> bool:
                    survey = await surveyor.survey()
                    there = survey.groups.get(GROUP)
                    return there is not None and there.state == "stable"

                await until(joined)
                seen.append(await surveyor.survey())
                subscriber.stop()

            await subscriber.run(handle)
        (during,) = seen
        assert during.groups[GROUP].members == 1
        assert of(during, GROUP, READINGS).records == 1
        after = await surveyor.survey()
    one = of(after, GROUP, READINGS)
    assert (one.records, one.seconds, one.promise) == (0, 0.0, 30.0)
    assert (after.groups[GROUP].state, after.groups[GROUP].members) == ("empty", 0)
    assert f"dead.de.agency.statistik.{READINGS}" in after.dead


async def test_groups_that_read_and_never_committed(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    names = ("silent", "still", "speechless")
    await append(bare, TOPIC, 0, 2)
    consumers = [GroupConsumer(bare, name, [TOPIC], AtTheStart()) for name in names]
    for consumer in consumers:
        await consumer.start()
    try:

        async def read() -> bool:
            for consumer in consumers:
                await consumer.poll(0.05)
            groups = (await surveyor.survey()).groups
            return all(name in groups and TOPIC in groups[name].subscriptions for name in names)

        await until(read)
        survey = await surveyor.survey()
        for name in names:
            one = of(survey, name)
            assert (one.never_committed, one.records, one.seconds) == (True, 2, None)
            assert (survey.groups[name].state, survey.groups[name].members) == ("stable", 1)
    finally:
        for consumer in consumers:
            await consumer.stop()


async def test_who_keeps_a_view_is_no_reader_of_it(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    """Faust gives the group the changelog that it writes; who commits there reads it."""
    view = "view.events"
    await admin.ensure_topic(TopicSpec(name=view, partitions=1, configs={}))
    await append(bare, view, 0, 2)
    await append(bare, TOPIC, 0, 2)
    consumer = GroupConsumer(bare, "keeper", [TOPIC, view], AtTheStart())
    await consumer.start()
    try:

        async def joined() -> bool:
            await consumer.poll(0.05)
            groups = (await surveyor.survey()).groups
            return "keeper" in groups and TOPIC in groups["keeper"].subscriptions

        await until(joined)
        assert set((await surveyor.survey()).groups["keeper"].subscriptions) == {TOPIC}
    finally:
        await consumer.stop()
    await admin.set_positions("reader", {(view, 0): (1, "")})
    assert of(await surveyor.survey(), "reader", view).records == 1


async def test_records_that_aiokafka_cannot_decode_have_their_time(
    bare: KafkaSettings, admin: Admin, surveyor: Surveyor
) -> None:
    async with await Raw.to(Address.parse(bare.bootstrap)) as raw:
        odd = sealed(record(0, header=b"\xff"), 1)
        assert (await raw.produce(TOPIC, odd)).error_code == 0
    await admin.set_positions("g", {(TOPIC, 0): (0, "")})
    one = of(await surveyor.survey(), "g")
    assert one.records == 1
    assert one.seconds is not None
