"""1,000 members in 200 groups: all settle, and settle again after one of each was killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey, Broker
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from tests.broker.raw import Raw
from tests.engines.party import SESSION, Member
from tests.waiting import until

GROUPS, EACH = 200, 5
NONE = ErrorCode.none

Group = list[Member]


class Clock:
    """What groups take for the time, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The groups' clock."""
    return Clock()


@pytest.fixture
async def address(tmp_path: Path, clock: Clock) -> AsyncIterator[Address]:
    """A broker that takes so many connections from one address."""
    listen = Address(host="127.0.0.1", port=0)
    settings = BrokerSettings(listen=listen, max_connections_per_address=2 * GROUPS * EACH)
    async with Broker(settings, tmp_path, Telemetry(), clock=clock) as broker:
        yield broker.address


async def described(admin: Raw) -> dict[str, Any]:
    """Return all groups, by DescribeGroups of what ListGroups names."""
    listed = await admin.ask(ApiKey.LIST_GROUPS, 4, states_filter=[])
    assert listed.error_code is NONE
    names = [one.group_id for one in listed.groups]
    answer = await admin.ask(
        ApiKey.DESCRIBE_GROUPS, 5, groups=names, include_authorized_operations=False
    )
    assert all(one.error_code is NONE for one in answer.groups)
    return {one.group_id: one for one in answer.groups}


async def of_each(groups: Sequence[Group], count: int, state: str, admin: Raw) -> bool:
    """Say whether each group has so many members, and this state."""
    found = await described(admin)
    assert found.keys() == {group[0].group for group in groups}
    return {(len(one.members), one.group_state) for one in found.values()} == {(count, state)}


async def settle(groups: Sequence[Group]) -> None:
    """Take everybody who joins to the assignment, and hold each group to one generation."""
    members = [one for group in groups for one in group]
    parts = await asyncio.gather(*(one.sync() for one in members))
    assert parts == [one.id.encode() for one in members]
    for group in groups:
        assert len({one.generation for one in group}) == 1
        assert [one.leads for one in group].count(True) == 1


async def beats(groups: Sequence[Group]) -> set[ErrorCode]:
    """Have everybody say that they are alive; return what they are told."""
    return set(await asyncio.gather(*(one.beat() for group in groups for one in group)))


@pytest.mark.slow
async def test_a_thousand_members_settle_and_settle_again(address: Address, clock: Clock) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        admin = await stack.enter_async_context(await Raw.to(address))
        groups = [
            [
                Member(await stack.enter_async_context(await Raw.to(address)), f"g{number}", None)
                for _ in range(EACH)
            ]
            for number in range(GROUPS)
        ]
        await asyncio.gather(*(first.join() for first, *_ in groups))
        joining = [asyncio.create_task(one.join()) for _, *rest in groups for one in rest]
        await until(lambda: of_each(groups, EACH, "PreparingRebalance", admin))
        await asyncio.gather(*joining, *(first.join() for first, *_ in groups))
        await settle(groups)
        assert await beats(groups) == {NONE}
        assert await of_each(groups, EACH, "Stable", admin)

        before = {group[0].group: group[0].generation for group in groups}
        for number, group in enumerate(groups):  # now its leader, now another
            group.pop(number % EACH).raw.writer.transport.abort()
        clock.now += SESSION / 1000 - 1
        assert await beats(groups) == {NONE}
        clock.now += 2

        async def noticed() -> bool:
            return await beats(groups) == {ErrorCode.rebalance_in_progress}

        await until(noticed)
        await asyncio.gather(*(one.join() for group in groups for one in group))
        await settle(groups)
        assert await beats(groups) == {NONE}
        assert await of_each(groups, EACH - 1, "Stable", admin)
        assert all(group[0].generation == before[group[0].group] + 1 for group in groups)
