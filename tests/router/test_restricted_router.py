"""Restricted contracts on a bus: who gets what, from when on, and until when."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bus.disclosures import TOPIC as DISCLOSURES
from bus.disclosures import read
from bus.disclosures.digest import entry_of, entry_on, totals
from bus.errors import BadEvent, NotAuthorised
from bus.event import Event
from bus.kafka import Fetched, LogReader, Producer, Record
from bus.letters import Decider, read_letter
from bus.router import Router
from bus.subscriber import Subscriber
from bus.telemetry import Telemetry
from bus.trust.attestation import check_attestation
from ops.council import Council, committed, council_of, routing
from tests.city import City, records
from tests.router.town import STATISTICS, TAX, TOPIC, WATER, move, nothing_but
from tests.waiting import until

pytestmark = pytest.mark.slow

MOVES: Mapping[str, Any] = {"field": "cause", "is": "MOVE"}


@pytest.fixture
async def council(city: City, tmp_path: Path) -> AsyncIterator[Council]:
    async with council_of(city.settings, tmp_path) as found:
        yield found


def person(number: int, **changes: Any) -> dict[str, Any]:
    return {"pseudonym": f"person-{number}", **changes}


def people(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [person(number, **changes) for number in range(count)]


async def holds(council: Council, recipient: str, count: int) -> bool:
    return len(await council.present(recipient)) == count


async def test_each_recipient_gets_its_own_view_and_nobody_else_any(council: Council) -> None:
    await council.grant(TAX, "cause new_address", MOVES)
    await council.grant(WATER, "pseudonym valid_from")
    async with routing(council.settings):
        await council.publish(*people(20), *people(5, cause="DEATH"))
        await until(lambda: holds(council, WATER, 20))
        await until(lambda: holds(council, TAX, 15))
    assert all(
        one == nothing_but(cause="MOVE", new_address=one["new_address"])
        for one in (await council.present(TAX)).values()
    )
    assert all(
        set(filled(one)) == {"valid_from"} for one in (await council.present(WATER)).values()
    )
    assert await council.feed(STATISTICS) == []


def filled(data: Mapping[str, Any]) -> list[str]:
    return [name for name, value in data.items() if value is not None]


async def test_a_grant_begins_with_the_present_between_marks(council: Council) -> None:
    await council.grant(WATER, "cause")
    async with routing(council.settings):
        await council.publish(*people(30), *people(10, household="h"))
        await until(lambda: holds(council, WATER, 30))
        await council.grant(TAX, "household cause")
        await until(lambda: holds(council, TAX, 30))
        await council.publish(*people(31, household="i"))
        await until(lambda: holds(council, TAX, 31))
    told = await council.feed(TAX)
    for partition in {one.record.partition for one in told}:
        here = [one for one in told if one.record.partition == partition]
        words = [one.snapshot.split("/")[0] if one.snapshot else "" for one in here]
        assert words[0] == "begin"
        assert words.count("begin") == words.count("end") == 1
        present = [one.key for one in here[1 : words.index("end")]]
        assert len(present) == len(set(present))
    assert {one["household"] for one in (await council.present(TAX)).values()} == {"i"}


async def test_what_was_sent_under_a_revoked_grant_is_withdrawn(council: Council) -> None:
    first = await council.grant(TAX, "cause household")
    await council.grant(TAX, "cause")
    await council.grant(WATER, "cause")
    async with routing(council.settings):
        await council.publish(*people(25))
        await until(lambda: holds(council, TAX, 25))
        await council.revoke(first)

        async def without_households() -> bool:
            found = await council.present(TAX)
            return len(found) == 25 and not any(one["household"] for one in found.values())

        await until(without_households)
        await council.publish(*people(26, household="i"))
        await until(lambda: holds(council, TAX, 26))
        assert not any(one["household"] for one in (await council.present(TAX)).values())
    told = await council.feed(TAX)
    assert len({one.key for one in told if one.data is None and one.snapshot is None}) == 25
    assert len(await council.present(WATER)) == 26


async def test_a_grant_that_is_all_gone_leaves_nothing_on_its_feed(council: Council) -> None:
    grant = await council.grant(TAX, "cause")
    async with routing(council.settings):
        await council.publish(*people(20))
        await until(lambda: holds(council, TAX, 20))
        await council.revoke(grant)
        await until(lambda: holds(council, TAX, 0))


async def test_the_next_router_knows_what_feeds_hold(council: Council) -> None:
    grant = await council.grant(TAX, "cause")
    async with routing(council.settings):
        await council.publish(*people(20))
        await until(lambda: holds(council, TAX, 20))
    before = await council.feed(TAX)
    await council.revoke(grant)
    async with routing(council.settings):
        await until(lambda: holds(council, TAX, 0))
    after = await council.feed(TAX)
    assert [one.event for one in after if one.data is not None] == [
        one.event for one in before if one.data is not None
    ]


async def test_every_delivery_is_disclosed_and_attested(council: Council) -> None:
    await council.grant(TAX, "cause")
    async with routing(council.settings):
        await council.publish(*people(12))
        await until(lambda: holds(council, TAX, 12))
    ledger = await council.client.follow()
    (key,) = [one for one in ledger.standing.keys.values() if one.owner.endswith(".router")]
    told = await council.feed(TAX)
    for one in told:
        check_attestation(one.record, key.public)
    async with LogReader(council.bus.kafka) as reader:
        found = [one for record in await committed(reader, DISCLOSURES) for one in read(record)]
    assert sorted(one.event for one in found) == sorted(
        one.event for one in told if one.snapshot is None
    )
    assert {one.subject for one in found} == {f"person-{number}" for number in range(12)}
    names = tuple(move())
    theirs = [entry_on(one.record, TAX, names, "pseudonym") for one in told if not one.snapshot]
    assert totals(theirs) == totals(map(entry_of, found))


async def test_what_is_refused_holds_up_nothing(council: Council) -> None:
    await council.grant(TAX, "cause")
    await council.publish(person(1))
    (good,) = await records(council.bus.kafka, TOPIC)
    unsigned = [h for h in good.headers if h[0] != "stadtbus-signature"]
    async with Producer(council.bus.kafka) as producer:
        forged = Record(good.key, good.value, unsigned)
        await producer.append(TOPIC, good.partition, [forged])
    await council.publish(person(1, cause="DEATH"))
    async with routing(council.settings) as telemetry:
        await until(lambda: holds(council, TAX, 1))
        (seen,) = (await council.present(TAX)).values()
        await until(lambda: telemetry.refused.labels(TOPIC, "unsigned")._value.get() == 1)
    assert seen["cause"] in ("MOVE", "DEATH")


async def test_a_grant_of_what_is_no_contract_holds_up_nothing(council: Council) -> None:
    async with Router(council.settings, Telemetry()) as router:
        await router._prepare_feeds({"resident.unheard-of.v1": {bytes(16): TAX}})
        await council.grant(TAX, "cause")
        await council.publish(person(1))
        await until(lambda: holds(council, TAX, 1))


async def test_nothing_flows_while_nobody_vouches_for_the_router(
    council: Council, caplog: pytest.LogCaptureFixture
) -> None:
    await council.grant(TAX, "cause")
    await council.publish(person(1))
    says = {"system": "de.util.stadtbus.router"}
    await council.say("system-retired", says, council.keys["de.util.stadtbus"])
    async with routing(council.settings):
        await until(lambda: "restricted contracts are not routed" in caplog.text)
    assert await council.feed(TAX) == []


def reads(council: Council, handled: list[Event]) -> tuple[Subscriber, Callable[[Event], Any]]:
    """Return a subscriber of the tax office, and what it does with events."""

    async def handle(event: Event) -> None:
        if event.data is not None and event.data["cause"] == "DEATH":
            raise BadEvent("nobody expects that")
        handled.append(event)

    return Subscriber(f"{TAX}.cadastre", [TOPIC], council.bus), handle


async def test_a_subscriber_reads_what_its_member_is_granted(council: Council) -> None:
    grant = await council.grant(TAX, "cause household")
    handled: list[Event] = []
    async with routing(council.settings):
        await council.publish(*people(10), person(10, cause="DEATH"))
        await until(lambda: holds(council, TAX, 11))
        subscriber, handle = reads(council, handled)
        async with subscriber:
            running = asyncio.create_task(subscriber.run(handle))
            await until(lambda: len(handled) == 10)
            await council.revoke(grant)
            await until(lambda: len(handled) == 21)
            subscriber.stop()
            await running
    given, gone = handled[:10], handled[10:]
    assert all(one.data == nothing_but(cause="MOVE", household="household-1") for one in given)
    assert all(one.topic == TOPIC and one.grants == (grant[:32],) for one in given)
    assert all({"@key", "pseudonym", "new_address"} <= set(one.withheld) for one in given)
    assert all(one.position.topic == f"feed.{TAX}.{TOPIC}" for one in given if one.position)
    assert all(one.data is None for one in gone)
    assert {one.key for one in given} < {one.key for one in gone}
    (letter,) = await letters_of(council)
    assert dict(letter.headers)["stadtbus-dead-origin"].startswith(f"feed.{TAX}.".encode())


async def letters_of(council: Council) -> list[Fetched]:
    async with LogReader(council.bus.kafka) as reader:
        return await committed(reader, f"dead.{TAX}.{TOPIC}")


async def test_what_was_set_aside_from_a_feed_comes_once_more(council: Council) -> None:
    await council.grant(TAX, "cause")
    handled: list[Event] = []
    async with routing(council.settings):
        await council.publish(person(1, cause="DEATH"))
        subscriber, handle = reads(council, handled)
        await until(lambda: holds(council, TAX, 1))
        async with subscriber:
            running = asyncio.create_task(subscriber.run(handle))
            await until(lambda: _any(letters_of(council)))
            subscriber.stop()
            await running
        (letter,) = [read_letter(one) for one in await letters_of(council)]
        decider = Decider(council.bus.kafka, "somebody")
        assert (await decider.redrive([letter])).done

        async def accept(event: Event) -> None:
            handled.append(event)

        async with Subscriber(f"{TAX}.cadastre", [TOPIC], council.bus) as again:
            running = asyncio.create_task(again.run(accept))
            await until(lambda: bool(handled))
            again.stop()
            await running
    (event,) = handled
    assert event.redriven is not None
    assert (event.data, event.topic) == (nothing_but(cause="DEATH"), TOPIC)


async def _any(found: Awaitable[list[Fetched]]) -> bool:
    return bool(await found)


async def test_who_was_granted_nothing_is_told_so(council: Council) -> None:
    with pytest.raises(NotAuthorised, match="there is no feed for this subscriber"):
        async with Subscriber(f"{WATER}.meters", [TOPIC], council.bus):
            pass
