"""Groups: described, listed, deleted; where their coordinator is."""

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.engines.party import NONE, Party, subscription


async def listed(party: Party, *states: str, kinds: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the groups in these states, and of these kinds, each with its state."""
    answer = await party.admin.ask(ApiKey.LIST_GROUPS, 5, states_filter=states, types_filter=kinds)
    assert answer.error_code is NONE
    return {one.group_id: one.group_state for one in answer.groups}


async def deleted(party: Party, *groups: str) -> dict[str, ErrorCode]:
    """Ask to delete groups."""
    answer = await party.admin.ask(ApiKey.DELETE_GROUPS, 2, groups_names=groups)
    return {one.group_id: ErrorCode(one.error_code) for one in answer.results}


async def test_a_stable_group(party: Party) -> None:
    """A stable group is described with its strategy, and what each member said and got."""
    members = await party.gather(2)
    found = await party.describe()
    assert (found.error_code, found.group_state) == (NONE, "Stable")
    assert (found.protocol_type, found.protocol_data) == ("consumer", "range")
    assert {one.member_id for one in found.members} == {one.id for one in members}
    for one in found.members:
        assert (one.client_id, one.client_host) == ("raw", "/127.0.0.1")
        assert one.member_metadata == subscription("t")
        assert one.member_assignment == one.member_id.encode()


async def test_a_group_that_is_not_stable(party: Party) -> None:
    """While a group is in between, its members are described with what they got before."""
    (member,) = await party.gather(1)
    await member.join(protocols=[("range", subscription("u"))])
    found = await party.describe()
    assert (found.group_state, found.protocol_type) == ("CompletingRebalance", "consumer")
    assert found.protocol_data == ""
    (one,) = found.members
    assert (one.member_metadata, one.member_assignment) == (b"", member.id.encode())


async def test_a_group_without_members(party: Party, topic: str) -> None:
    """A group that has only positions is empty, and of no kind."""
    await party.admin.made(topic)
    await (await party.member()).commit(topic)
    found = await party.describe()
    assert (found.error_code, found.group_state) == (NONE, "Empty")
    assert (found.protocol_type, found.protocol_data, found.members) == ("", "", ())


async def test_a_group_that_is_not_there(party: Party) -> None:
    """A group that does not exist is described as dead."""
    found = await party.describe(f"{party.group}.none")
    assert (found.error_code, found.group_state, found.members) == (NONE, "Dead", ())


async def test_listing_by_state(party: Party, topic: str) -> None:
    """Groups are listed with their states; all, or those in some states, in any case of letters."""
    await party.admin.made(topic)
    await (await party.member()).commit(topic)
    group = party.group
    assert (await listed(party))[group] == "Empty"
    assert group in await listed(party, "Empty", "Dead")
    assert group in await listed(party, "eMPTY")
    assert group not in await listed(party, "Stable")
    await party.gather(1)
    assert (await listed(party, "Stable"))[group] == "Stable"
    assert group not in await listed(party, "Empty")
    assert await listed(party, "Nonsense") == {}


async def test_listing_by_kind(party: Party) -> None:
    """Groups of the classic protocol are listed as such; of a kind that is none there is none."""
    await party.gather(1)
    assert party.group in await listed(party, kinds=("classic",))
    assert party.group not in await listed(party, kinds=("consumer",))
    assert await listed(party, kinds=("nonsense",)) == {}


async def test_deleting(party: Party, topic: str) -> None:
    """A group without members is deleted with its positions."""
    await party.admin.made(topic)
    await (await party.member()).commit(topic)
    assert await deleted(party, party.group) == {party.group: NONE}
    assert (await party.describe()).group_state == "Dead"
    assert await party.positions() == {}
    assert party.group not in await listed(party)


async def test_deleting_what_cannot_be(party: Party) -> None:
    """A group with members is not deleted, nor one that does not exist; each is answered."""
    await party.gather(1)
    other = f"{party.group}.none"
    assert await deleted(party, party.group, other) == {
        party.group: ErrorCode.non_empty_group,
        other: ErrorCode.group_id_not_found,
    }
    assert await party.has(state="Stable")


async def test_a_group_whose_members_never_committed(party: Party) -> None:
    """A group whose members have all left stays for a while, and its generations count on."""
    (member,) = await party.gather(1)
    await member.leave()
    assert (await listed(party))[party.group] == "Empty"
    assert (await party.describe()).protocol_type == "consumer"
    assert (await (await party.member()).join()).generation == 3


async def test_the_coordinator(party: Party) -> None:
    """Several groups' coordinators are found with one request."""
    answer = await party.admin.ask(
        ApiKey.FIND_COORDINATOR, 4, key_type=0, coordinator_keys=(party.group, "other")
    )
    assert [one.key for one in answer.coordinators] == [party.group, "other"]
    for one in answer.coordinators:
        assert (one.error_code, one.node_id, one.host) == (NONE, 1, "127.0.0.1")


@pytest.mark.parametrize("kind", [9, 127])
async def test_a_coordinator_of_an_unknown_kind(party: Party, kind: int) -> None:
    """There is no coordinator of an unknown kind."""
    answer = await party.admin.ask(
        ApiKey.FIND_COORDINATOR, 4, key_type=kind, coordinator_keys=("x",)
    )
    assert [one.error_code for one in answer.coordinators] == [ErrorCode.invalid_request]
