"""Groups: who gets in, who is given up, and what everybody is told meanwhile."""

import asyncio
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.engines.party import NONE, SESSION, Member, Party, subscription
from tests.waiting import until

RANGE = ("range", subscription("t"))
STICKY = ("sticky", subscription("t"))


async def test_an_id_comes_first(party: Party) -> None:
    """Who is new is given an id, and joins with it."""
    member = await party.member()
    invited = await member.ask_to_join()
    assert invited.error_code is ErrorCode.member_id_required
    assert (invited.generation_id, invited.leader, invited.members) == (-1, "", ())
    joined = await member.ask_to_join(member_id=invited.member_id)
    assert joined.error_code is NONE
    assert joined.member_id == invited.member_id


async def test_old_clients_need_no_id(party: Party) -> None:
    """Before version 4, who is new joins at once."""
    member = await party.member()
    protocols = [{"name": "range", "metadata": b""}]
    answer = await member.ask(
        ApiKey.JOIN_GROUP,
        3,
        session_timeout=SESSION,
        rebalance_timeout=SESSION,
        protocol_type="consumer",
        protocols=protocols,
    )
    assert (answer.error_code, answer.generation_id) == (NONE, 1)
    member.id = answer.member_id


async def test_the_first_member(party: Party) -> None:
    """The first member leads alone and is assigned what it brought."""
    member = await party.member()
    answer = (await member.join(protocols=[RANGE, STICKY])).answer
    assert (answer.generation_id, answer.leader, answer.protocol_name) == (1, member.id, "range")
    assert (answer.protocol_type, answer.skip_assignment) == ("consumer", False)
    assert [(one.member_id, one.metadata) for one in answer.members] == [(member.id, RANGE[1])]
    assigned = await member.ask_to_sync({member.id: b"all"})
    assert (assigned.error_code, assigned.assignment) == (NONE, b"all")
    assert (assigned.protocol_type, assigned.protocol_name) == ("consumer", "range")
    assert await party.has(state="Stable")


async def test_a_second_member(party: Party) -> None:
    """A second member makes the first one join again; each gets its own part."""
    (first,) = await party.gather(1)
    second = await party.member()
    joining = asyncio.create_task(second.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    assert await first.beat() is ErrorCode.rebalance_in_progress
    assert not joining.done()
    await first.join()
    await joining
    assert (first.generation, second.generation) == (2, 2)
    assert first.leads
    assert {one.member_id for one in first.answer.members} == {first.id, second.id}
    assert (second.answer.leader, second.answer.members) == (first.id, ())
    parts = await asyncio.gather(first.sync(), second.sync())
    assert list(parts) == [first.id.encode(), second.id.encode()]


@pytest.mark.parametrize("count", [2, 3, 5, 10])
async def test_many_members(party: Party, count: int) -> None:
    """Two to ten members agree on a generation, and each gets its own part."""
    members = await party.gather(count)
    described = await party.describe()
    assert {one.member_assignment for one in described.members} == {
        one.id.encode() for one in members
    }
    assert {await one.beat() for one in members} == {NONE}
    assert {one.generation for one in members} == {2}


async def test_a_follower_waits_for_the_leader(party: Party) -> None:
    """A follower's assignment comes once the leader has brought it."""
    first, second = await party.gather(2)
    joining = asyncio.create_task(first.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    await asyncio.gather(joining, second.join())
    leader, follower = (first, second) if first.leads else (second, first)
    waiting = asyncio.create_task(follower.ask_to_sync())
    assert not waiting.done()
    await leader.ask_to_sync({follower.id: b"yours"})
    assert (await waiting).assignment == b"yours"
    assert (await follower.ask_to_sync()).assignment == b"yours"


@pytest.mark.parametrize("leader", [True, False], ids=["the leader", "a follower"])
async def test_leaving(party: Party, leader: bool) -> None:
    """When a member leaves, the others make a generation without it; a leader is replaced."""
    members = await party.gather(3)
    gone = members.pop(0 if leader else 2)
    assert await gone.leave() is NONE
    assert {await one.beat() for one in members} == {ErrorCode.rebalance_in_progress}
    await asyncio.gather(*(one.join() for one in members))
    assert {one.generation for one in members} == {3}
    assert sum(one.leads for one in members) == 1
    assert members[0].leads or leader
    assert await gone.beat() is ErrorCode.unknown_member_id
    assert await gone.leave() is ErrorCode.unknown_member_id


async def test_the_last_one_out(party: Party) -> None:
    """The last one to leave leaves an empty group behind, which others may join."""
    (member,) = await party.gather(1)
    await member.commit("t", generation_id_or_member_epoch=1)
    assert await member.leave() is NONE
    await until(lambda: party.has(state="Empty", members=0))
    other = await (await party.member()).join()
    assert other.generation == 3


async def test_several_leave_at_once(party: Party) -> None:
    """One request lets several members leave, and answers for each."""
    first, second = await party.gather(2)
    gone = [
        {"member_id": name, "group_instance_id": None, "reason": None}
        for name in (first.id, "nobody", second.id)
    ]
    answer = await party.admin.ask(ApiKey.LEAVE_GROUP, 5, group_id=party.group, members=gone)
    assert answer.error_code is NONE
    assert [one.error_code for one in answer.members] == [
        NONE,
        ErrorCode.unknown_member_id,
        NONE,
    ]
    assert await party.has(members=0)


async def test_one_who_was_invited_holds_the_others_up(party: Party) -> None:
    """A generation waits for those who were given an id, until they come or leave."""
    (member,) = await party.gather(1)
    guest = await party.member()
    guest.id = (await guest.ask_to_join()).member_id
    joining = asyncio.create_task(member.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    assert not joining.done()
    assert await guest.leave() is NONE
    assert (await joining).generation == 2


async def test_a_strategy_is_voted_for(party: Party) -> None:
    """The strategy that most members prefer, of those that all know, is taken."""
    first, second, third = [await party.member() for _ in range(3)]
    await first.join(protocols=[RANGE, STICKY])
    joining = [
        asyncio.create_task(one.join(protocols=[STICKY, RANGE, ("own", b"")]))
        for one in (second, third)
    ]
    await until(lambda: party.has(members=3))
    await asyncio.gather(first.join(), *joining)
    assert first.answer.protocol_name == "sticky"
    assert [one.metadata for one in first.answer.members] == [STICKY[1]] * 3


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"protocol_type": "connect"}, id="another kind of group"),
        pytest.param({"protocols": [("own", b"")]}, id="no strategy in common"),
        pytest.param({"protocols": []}, id="no strategy"),
        pytest.param({"protocol_type": ""}, id="no kind of group"),
    ],
)
async def test_inconsistent_protocols(party: Party, changes: dict[str, Any]) -> None:
    """Who does not fit the group's protocol is refused, and the group goes on."""
    (member,) = await party.gather(1)
    answer = await (await party.member()).ask_to_join(**changes)
    assert answer.error_code is ErrorCode.inconsistent_group_protocol
    assert await member.beat() is NONE


@pytest.mark.parametrize(
    "changes", [{"protocol_type": "connect"}, {"protocol_name": "sticky"}], ids=str
)
async def test_an_inconsistent_sync(party: Party, changes: dict[str, Any]) -> None:
    """A sync for another protocol than the group's is refused."""
    (member,) = await party.gather(1)
    answer = await member.ask_to_sync(**changes)
    assert answer.error_code is ErrorCode.inconsistent_group_protocol


@pytest.mark.parametrize(
    ("milliseconds", "error"),
    [
        pytest.param(5_999, ErrorCode.invalid_session_timeout, id="below the shortest"),
        pytest.param(6_000, ErrorCode.member_id_required, id="the shortest"),
        pytest.param(1_800_000, ErrorCode.member_id_required, id="the longest"),
        pytest.param(1_800_001, ErrorCode.invalid_session_timeout, id="above the longest"),
        pytest.param(-1, ErrorCode.invalid_session_timeout, id="negative"),
    ],
)
async def test_session_timeouts(party: Party, milliseconds: int, error: ErrorCode) -> None:
    """A session lasts between 6 seconds and 30 minutes; other timeouts are refused."""
    member = await party.member()
    answer = await member.ask_to_join(session_timeout=milliseconds)
    assert answer.error_code is error
    member.id = answer.member_id


async def told(member: Member, topic: str) -> dict[str, ErrorCode]:
    """Return what each of a member's requests is answered."""
    return {
        "sync": (await member.ask_to_sync()).error_code,
        "heartbeat": await member.beat(),
        "commit": await member.commit(topic),
    }


@pytest.mark.parametrize("exists", [True, False], ids=["in a group", "in no group"])
async def test_unknown_members(party: Party, topic: str, exists: bool) -> None:
    """Who is not a member is told so, whatever it asks."""
    await party.admin.made(topic)
    if exists:
        await party.gather(1)
    stranger = await party.member()
    stranger.id, stranger.generation = "stranger", 1
    unknown = ErrorCode.unknown_member_id
    assert (await stranger.ask_to_join()).error_code is unknown
    assert await stranger.leave() is unknown
    commit = unknown if exists else ErrorCode.group_id_not_found
    assert await told(stranger, topic) == {"sync": unknown, "heartbeat": unknown, "commit": commit}


async def test_groups_need_a_name(party: Party) -> None:
    """Nobody can be a member of a group without a name."""
    member = await party.member(group="")
    invalid = ErrorCode.invalid_group_id
    assert (await member.ask_to_join()).error_code is invalid
    member.id, member.generation = "somebody", 1
    assert (await member.ask_to_sync()).error_code is invalid
    assert await member.beat() is invalid


@pytest.mark.parametrize("generation", [1, 3], ids=["old", "not yet"])
async def test_other_generations_are_fenced(party: Party, topic: str, generation: int) -> None:
    """Who speaks for another generation is refused, whatever it asks."""
    await party.admin.made(topic)
    _, member = await party.gather(2)
    assert set((await told(member, topic)).values()) == {NONE}
    member.generation = generation
    assert set((await told(member, topic)).values()) == {ErrorCode.illegal_generation}


async def test_during_a_rebalance(party: Party, topic: str) -> None:
    """While members are joining, commits of the old generation are still taken."""
    await party.admin.made(topic)
    (member,) = await party.gather(1)
    joining = asyncio.create_task((await party.member()).join())
    await until(lambda: party.has(state="PreparingRebalance", members=2))
    again = ErrorCode.rebalance_in_progress
    assert await told(member, topic) == {"sync": again, "heartbeat": again, "commit": NONE}
    await member.join()
    await joining


async def test_before_the_assignment(party: Party, topic: str) -> None:
    """Between the join and the leader's sync, commits are refused and heartbeats are not."""
    await party.admin.made(topic)
    member = await (await party.member()).join()
    assert await party.has(state="CompletingRebalance")
    assert await member.beat() is NONE
    assert await member.commit(topic) is ErrorCode.rebalance_in_progress


async def test_a_sync_that_waits_when_somebody_comes(party: Party) -> None:
    """A sync that waits for the leader is sent back when another member joins."""
    leader, follower = await party.gather(2)
    joining = asyncio.create_task(leader.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    await asyncio.gather(joining, follower.join())
    assert leader.leads
    waiting = asyncio.create_task(follower.ask_to_sync())
    third = asyncio.create_task((await party.member()).join())
    assert (await waiting).error_code is ErrorCode.rebalance_in_progress
    await asyncio.gather(leader.join(), follower.join(), third)


async def test_a_follower_that_joins_again(party: Party) -> None:
    """A follower that joins again unchanged gets the same generation; a changed one a new one."""
    leader, follower = await party.gather(2)
    assert (await follower.join()).generation == 2
    assert await party.has(state="Stable")
    joining = asyncio.create_task(follower.join(protocols=[("range", subscription("other"))]))
    await until(lambda: party.has(state="PreparingRebalance"))
    await leader.join()
    assert (await joining).generation == 3


async def test_a_leader_that_joins_again(party: Party) -> None:
    """A leader that joins again begins a new generation, even unchanged."""
    leader, follower = await party.gather(2)
    joining = asyncio.create_task(leader.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    assert await follower.beat() is ErrorCode.rebalance_in_progress
    await follower.join()
    assert (await joining).generation == 3


@pytest.mark.slow
async def test_a_silent_member(party: Party) -> None:
    """Who sends no heartbeat for its session is given up; who does stays."""
    alive, silent = await party.gather(2, session_timeout=6_000)

    async def told_to_join_again() -> bool:
        return await alive.beat() is ErrorCode.rebalance_in_progress

    await until(told_to_join_again)
    assert await party.has(members=1)
    assert (await alive.join()).generation == 3
    assert [one.member_id for one in alive.answer.members] == [alive.id]
    assert await silent.beat() is ErrorCode.unknown_member_id


async def test_who_does_not_join_again_in_time(party: Party) -> None:
    """Who does not join again within the rebalance timeout is left out."""
    (late,) = await party.gather(1, rebalance_timeout=300)
    prompt = await (await party.member()).join(rebalance_timeout=300)
    assert prompt.leads
    assert [one.member_id for one in prompt.answer.members] == [prompt.id]
    assert await late.beat() is ErrorCode.unknown_member_id


async def test_who_does_not_sync_in_time(party: Party) -> None:
    """Who does not ask for its assignment within the rebalance timeout is left out."""
    leader, follower = await party.gather(2, rebalance_timeout=300)
    joining = asyncio.create_task(leader.join())
    await until(lambda: party.has(state="PreparingRebalance"))
    await asyncio.gather(joining, follower.join())
    assert (await follower.ask_to_sync()).error_code is ErrorCode.rebalance_in_progress
    assert await leader.beat() is ErrorCode.unknown_member_id
    assert (await follower.join()).leads


async def test_the_longest_rebalance_timeout_counts(party: Party) -> None:
    """A rebalance waits as long as the most patient member allows."""
    (patient,) = await party.gather(1, rebalance_timeout=20_000)
    joining = asyncio.create_task((await party.member()).join(rebalance_timeout=1))
    await until(lambda: party.has(members=2))
    await patient.join()
    assert (await joining).generation == 2
    assert len(patient.answer.members) == 2
