"""Groups: members with a name of their own (``group.instance.id``, KIP-345)."""

import asyncio

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.engines.party import NONE, Member, Party, subscription
from tests.waiting import until

FENCED = ErrorCode.fenced_instance_id
UNKNOWN = ErrorCode.unknown_member_id


async def back(party: Party, instance: str) -> Member:
    """Return a static member that has come back after a restart, which has forgotten its id."""
    return await (await party.member(instance)).join()


async def test_a_name_makes_the_id(party: Party) -> None:
    """A static member joins at once, and its name begins its id."""
    member = await party.member("north")
    answer = await member.ask_to_join()
    assert (answer.error_code, answer.generation_id) == (NONE, 1)
    assert answer.member_id.startswith("north-")
    assert [one.group_instance_id for one in answer.members] == ["north"]
    member.id = answer.member_id


async def test_one_that_comes_back(party: Party) -> None:
    """A static follower that comes back keeps its assignment, and nobody rebalances."""
    leader, before = await party.gather(2, ["north", "south"])
    after = await back(party, "south")
    assert after.id != before.id
    assert (after.generation, after.answer.leader) == (2, leader.id)
    assert await leader.beat() is NONE
    assert await after.sync() == before.id.encode()
    assert await party.has(state="Stable", members=2)


async def test_a_leader_that_comes_back(party: Party) -> None:
    """A static leader that comes back leads on, and is told to leave the assignment as it is."""
    before, follower = await party.gather(2, ["north", "south"])
    after = await back(party, "north")
    assert (after.generation, after.answer.leader) == (2, after.id)
    assert after.answer.skip_assignment
    assert {one.member_id for one in after.answer.members} == {after.id, follower.id}
    answer = await after.ask_to_sync()
    assert (answer.error_code, answer.assignment) == (NONE, before.id.encode())


async def test_a_leader_of_old_that_comes_back(party: Party) -> None:
    """Before version 9, it is told that its former self leads, so that it does not assign."""
    before, _ = await party.gather(2, ["north", "south"])
    after = await party.member("north")
    protocols = [{"name": "range", "metadata": subscription("t")}]
    fields = {"session_timeout": 10_000, "rebalance_timeout": 10_000, "protocols": protocols}
    answer = await after.ask(ApiKey.JOIN_GROUP, 8, protocol_type="consumer", reason=None, **fields)
    assert (answer.error_code, answer.generation_id) == (NONE, 2)
    assert (answer.leader, answer.members) == (before.id, ())
    after.id = answer.member_id


async def test_one_that_comes_back_with_other_topics(party: Party) -> None:
    """A static member that comes back with other topics keeps its assignment all the same."""
    leader, before = await party.gather(2, ["north", "south"])
    after = await party.member("south")
    await after.join(protocols=[("range", subscription("other"))])
    assert (after.generation, await leader.beat()) == (2, NONE)
    assert await after.sync() == before.id.encode()


async def test_one_that_comes_back_with_other_strategies(party: Party) -> None:
    """A static member whose strategies change the vote makes everybody join again."""
    both = [("range", subscription("t")), ("sticky", subscription("t"))]
    leader, before = await party.gather(2, ["north", "south"], protocols=both)
    after = await party.member("south")
    joining = asyncio.create_task(after.join(protocols=both[1:]))
    await until(lambda: party.has(state="PreparingRebalance"))
    assert await leader.beat() is ErrorCode.rebalance_in_progress
    await leader.join()
    assert (await joining).generation == 3
    assert before.id not in {one.member_id for one in leader.answer.members}


async def test_the_one_before_is_fenced(party: Party, topic: str) -> None:
    """Of two with one name the later one stays; the earlier one is fenced, whatever it asks."""
    await party.admin.made(topic)
    (before,) = await party.gather(1, ["north"])
    await back(party, "north")
    assert (await before.ask_to_join()).error_code is FENCED
    assert (await before.ask_to_sync()).error_code is FENCED
    assert await before.beat() is FENCED
    assert await before.commit(topic) is FENCED
    assert await before.leave() is FENCED


async def test_one_that_waits_is_fenced(party: Party) -> None:
    """One that waits for the others is fenced at once when another comes with its name."""
    leader, before = await party.gather(2, ["north", "south"])
    changed = {"protocols": [("range", subscription("other"))]}
    waiting = asyncio.create_task(before.ask_to_join(**changed))
    await until(lambda: party.has(state="PreparingRebalance"))
    joining = asyncio.create_task((await party.member("south")).join(**changed))
    assert (await waiting).error_code is FENCED
    await leader.join()
    await joining


async def test_leaving_by_name(party: Party) -> None:
    """A static member may leave by its name alone, and by no other's id."""
    first, second = await party.gather(2, ["north", "south"])

    async def leave(name: str, member_id: str) -> ErrorCode:
        gone = [{"member_id": member_id, "group_instance_id": name, "reason": None}]
        answer = await party.admin.ask(ApiKey.LEAVE_GROUP, 5, group_id=party.group, members=gone)
        return ErrorCode(answer.members[0].error_code)

    assert await leave("west", "") is UNKNOWN
    assert await leave("south", first.id) is FENCED
    assert await leave("south", "") is NONE
    assert await second.beat() is UNKNOWN
    assert await party.has(members=1)


@pytest.mark.parametrize("name", ["west", "north"], ids=["unknown name", "another's name"])
async def test_names_and_ids_belong_together(party: Party, topic: str, name: str) -> None:
    """Who says another name than its own is unknown, or fenced if the name is taken."""
    await party.admin.made(topic)
    _, member = await party.gather(2, ["north", "south"])
    member.instance = name
    refused = UNKNOWN if name == "west" else FENCED
    assert await member.beat() is refused
    assert await member.commit(topic) is refused
    assert (await member.ask_to_sync()).error_code is refused
    assert (await member.ask_to_join()).error_code is refused
    member.instance = None


async def test_names_are_described(party: Party) -> None:
    """Administrators see the names of static members."""
    await party.gather(3, ["north", "south"])
    described = await party.describe()
    names = {one.group_instance_id for one in described.members}
    assert names == {"north", "south", None}


async def test_one_that_does_not_join_again_in_time_stays(party: Party) -> None:
    """A static member that misses a rebalance stays in the group until its session ends."""
    (absent,) = await party.gather(1, ["north"], rebalance_timeout=300)
    other = await (await party.member()).join(rebalance_timeout=300)
    assert other.leads
    assert {one.member_id for one in other.answer.members} == {absent.id, other.id}
    assert await absent.beat() is ErrorCode.illegal_generation


@pytest.mark.slow
async def test_a_silent_static_member(party: Party) -> None:
    """A static member that is silent for its session is given up like any other."""
    (member,) = await party.gather(1, ["north"], session_timeout=6_000)
    await until(lambda: party.has(members=0))
    assert await member.beat() is UNKNOWN
    assert (await back(party, "north")).generation > member.generation
