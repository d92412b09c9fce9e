"""Groups: positions committed, fetched, deleted, and what refuses them."""

import struct
from collections.abc import Sequence

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.engines.party import NONE, Party, subscription
from tests.waiting import until


@pytest.fixture
async def made(party: Party, topic: str) -> str:
    """A topic of two partitions."""
    await party.admin.made(topic, 2)
    return topic


async def deleted(
    party: Party, *places: tuple[str, int], group: str | None = None
) -> ErrorCode | dict[tuple[str, int], ErrorCode]:
    """Ask to forget the group's positions in these partitions."""
    answer = await party.admin.ask(
        ApiKey.OFFSET_DELETE,
        0,
        group_id=group or party.group,
        topics=[{"name": name, "partitions": [{"partition_index": i}]} for name, i in places],
    )
    return ErrorCode(answer.error_code) or {
        (topic.name, part.partition_index): ErrorCode(part.error_code)
        for topic in answer.topics
        for part in topic.partitions
    }


async def test_a_member_commits(party: Party, made: str) -> None:
    """A member's positions are kept with their notes, and outlive it."""
    (member,) = await party.gather(1)
    places = {(made, 0): (7, "first"), (made, 1): (0, "")}
    assert await member.commits(places) == {(made, 0): NONE, (made, 1): NONE}
    assert await party.positions(made) == places
    await member.leave()
    assert await party.positions(made) == places


async def test_without_a_generation(party: Party, made: str) -> None:
    """Who is in no group's generation may commit to a group without members, new or not."""
    outsider = await party.member()
    assert await outsider.commit(made, 3) is NONE
    assert await party.has(state="Empty")
    assert await outsider.commit(made, 4) is NONE
    assert await party.positions() == {(made, 0): (4, "")}


async def test_without_a_generation_beside_members(party: Party, made: str) -> None:
    """While a group has members, nobody else commits."""
    await party.gather(1)
    outsider = await party.member()
    assert await outsider.commit(made) is ErrorCode.unknown_member_id
    assert await party.positions() == {}


async def test_positions_need_no_group_name(party: Party, made: str) -> None:
    """A group without a name keeps positions, though it can have no members."""
    nobody = await party.member(group="")
    assert await nobody.commit(made, 5) is NONE
    await nobody.ask(ApiKey.DELETE_GROUPS, 2, groups_names=("",))


async def test_a_generation_of_a_group_that_is_not_there(party: Party, made: str) -> None:
    """A generation of a group that does not exist: not found, before version 9 illegal."""
    stranger = await party.member()
    stranger.id, stranger.generation = "stranger", 1
    assert await stranger.commit(made) is ErrorCode.group_id_not_found
    part: dict[str, object] = {
        "partition_index": 0,
        "committed_offset": 1,
        "committed_leader_epoch": -1,
    }
    part |= {"committed_metadata": None}
    topics = [{"name": made, "partitions": [part]}]
    answer = await stranger.ask(ApiKey.OFFSET_COMMIT, 8, topics=topics)
    assert answer.topics[0].partitions[0].error_code is ErrorCode.illegal_generation


@pytest.mark.parametrize(
    ("note", "error"),
    [
        pytest.param("", NONE, id="empty"),
        pytest.param("n" * 4096, NONE, id="the longest"),
        pytest.param("n" * 4097, ErrorCode.offset_metadata_too_large, id="too long"),
        pytest.param("ü" * 4096, NONE, id="counted in characters"),
        pytest.param("\U0001f68c" * 2048, NONE, id="of UTF-16"),
        pytest.param("\U0001f68c" * 2049, ErrorCode.offset_metadata_too_large, id="too many"),
    ],
)
async def test_notes(party: Party, made: str, note: str, error: ErrorCode) -> None:
    """A position's note has up to 4,096 characters; a longer one refuses its position alone."""
    outsider = await party.member()
    asked = {(made, 0): (1, note), (made, 1): (2, "")}
    assert await outsider.commits(asked) == {(made, 0): error, (made, 1): NONE}
    assert await party.positions(made) == {
        (made, 0): (1, note) if error is NONE else (-1, ""),
        (made, 1): (2, ""),
    }


async def test_unknown_partitions(party: Party, made: str) -> None:
    """A position in a partition that does not exist is refused, the others are kept."""
    outsider = await party.member()
    unknown = ErrorCode.unknown_topic_or_partition
    assert await outsider.commits(
        {(made, 0): (1, ""), (made, 2): (1, ""), ("none", 0): (1, "")}
    ) == {
        (made, 0): NONE,
        (made, 2): unknown,
        ("none", 0): unknown,
    }
    assert await party.positions() == {(made, 0): (1, "")}


@pytest.mark.parametrize("offset", [-5, -1, 0, 2**62])
async def test_any_offset(party: Party, made: str, offset: int) -> None:
    """A position may be anywhere: nobody looks whether there is a record."""
    assert await (await party.member()).commit(made, offset) is NONE
    assert (await party.positions(made))[made, 0] == (offset, "")


async def test_what_was_never_committed(party: Party, made: str) -> None:
    """Where nothing was committed the position is -1, whether the partition exists or not."""
    nothing = {(name, index): (-1, "") for name in (made, "none") for index in (0, 1)}
    assert await party.positions(made, "none") == nothing
    assert await party.positions() == {}


async def test_several_groups(party: Party, made: str) -> None:
    """One request fetches the positions of several groups, with the leader's epoch."""
    part: dict[str, object] = {
        "partition_index": 0,
        "committed_offset": 9,
        "committed_leader_epoch": 4,
    }
    part |= {"committed_metadata": "note"}
    topics = [{"name": made, "partitions": [part]}]
    outsider = await party.member()
    await outsider.ask(ApiKey.OFFSET_COMMIT, 8, topics=topics)
    wanted = [
        {"group_id": name, "member_id": None, "member_epoch": -1, "topics": None}
        for name in (party.group, f"{party.group}.other")
    ]
    answer = await party.admin.ask(ApiKey.OFFSET_FETCH, 9, groups=wanted, require_stable=True)
    found = {one.group_id: one for one in answer.groups}
    (place,) = found[party.group].topics[0].partitions
    assert (place.committed_offset, place.committed_leader_epoch, place.metadata) == (9, 4, "note")
    other = found[f"{party.group}.other"]
    assert (other.error_code, other.topics) == (NONE, ())


async def test_a_deleted_topic_takes_its_positions_along(party: Party, made: str) -> None:
    """Positions in a topic are forgotten when the topic is deleted."""
    await (await party.member()).commit(made)
    await party.admin.ask(ApiKey.DELETE_TOPICS, 5, topic_names=(made,), timeout=10_000)

    async def forgotten() -> bool:
        return await party.positions() == {}

    await until(forgotten)


async def test_deleting_positions(party: Party, made: str) -> None:
    """Positions of a group without members can be deleted one by one; it stays."""
    await (await party.member()).commits({(made, 0): (1, ""), (made, 1): (2, "")})
    assert await deleted(party, (made, 0), (made, 9), ("none", 0)) == {
        (made, 0): NONE,
        (made, 9): ErrorCode.unknown_topic_or_partition,
        ("none", 0): ErrorCode.unknown_topic_or_partition,
    }
    assert await party.positions() == {(made, 1): (2, "")}


async def test_deleting_positions_of_an_unknown_group(party: Party, made: str) -> None:
    """There is nothing to delete in a group that does not exist."""
    gone = await deleted(party, (made, 0), group=f"{party.group}.none")
    assert gone is ErrorCode.group_id_not_found


@pytest.mark.parametrize(
    "subscribed",
    [
        pytest.param(["this"], id="subscribed"),
        pytest.param([], id="not subscribed"),
        pytest.param(["other"], id="to another"),
    ],
)
async def test_deleting_positions_under_members(
    party: Party, made: str, subscribed: Sequence[str]
) -> None:
    """A consumer's positions can be deleted while it runs, unless it is subscribed to the topic."""
    topics = [made if name == "this" else name for name in subscribed]
    (member,) = await party.gather(1, protocols=[("range", subscription(*topics))])
    await member.commit(made)
    refused = made in topics
    error = ErrorCode.group_subscribed_to_topic if refused else NONE
    assert await deleted(party, (made, 0)) == {(made, 0): error}
    assert await party.positions() == ({(made, 0): (1, "")} if refused else {})


async def test_deleting_positions_of_others(party: Party, made: str) -> None:
    """A group of another kind than consumers has to be empty first."""
    member = await party.member()
    await member.join(protocol_type="connect", protocols=[("own", struct.pack(">h", 7))])
    assert await deleted(party, (made, 0)) is ErrorCode.non_empty_group
