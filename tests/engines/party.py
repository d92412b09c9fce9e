"""Members of a group that send exactly what they are told, each on a connection of its own."""

import asyncio
import struct
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import Raw
from tests.waiting import until

DEADLINE = 30.0
"""Seconds after which a test fails instead of waiting on."""

SESSION = 10_000  # milliseconds
REBALANCE = 20_000  # milliseconds

NONE = ErrorCode.none
_LOADING = {
    ErrorCode.coordinator_load_in_progress,
    ErrorCode.coordinator_not_available,
    ErrorCode.not_coordinator,
}


def subscription(*topics: str) -> bytes:
    """Return what a consumer says of itself when it joins: the topics that it wants."""
    encoded = [name.encode() for name in topics]
    names = b"".join(struct.pack(">h", len(name)) + name for name in encoded)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Member:
    """A member of a group.

    Attributes:
        id: what the group calls it; empty until it has joined.
        generation: the last one that it joined.
        answer: to its last join.
    """

    def __init__(self, raw: Raw, group: str, instance: str | None) -> None:
        self.raw, self.group, self.instance = raw, group, instance
        self.id, self.generation = "", -1
        self.answer: Any = None
        self._offer: dict[str, Any] = {
            "session_timeout": SESSION,
            "rebalance_timeout": REBALANCE,
            "protocol_type": "consumer",
            "protocols": [("range", subscription("t"))],
        }

    async def ask(self, key: ApiKey, version: int, /, **fields: Any) -> Any:
        """Send a request of this member and return the answer."""
        identity = {
            "group_id": self.group,
            "member_id": self.id,
            "group_instance_id": self.instance,
            "generation_id": self.generation,
            "generation_id_or_member_epoch": self.generation,
        }
        async with asyncio.timeout(DEADLINE):
            return await self.raw.ask(key, version, **identity | fields)

    async def ask_to_join(self, **changes: Any) -> Any:
        """Ask once, and return the answer; what it offers stays so for the next time."""
        self._offer |= {name: value for name, value in changes.items() if name in self._offer}
        fields = {**self._offer, "reason": None, **changes}
        named = [{"name": name, "metadata": said} for name, said in fields["protocols"]]
        return await self.ask(ApiKey.JOIN_GROUP, 9, **fields | {"protocols": named})

    async def join(self, **changes: Any) -> Self:
        """Join the next generation as clients do: who is new asks for an id first."""
        answer = await self.ask_to_join(**changes)
        if answer.error_code is ErrorCode.member_id_required:
            self.id = answer.member_id
            answer = await self.ask_to_join(**changes)
        assert answer.error_code is NONE, answer
        self.id, self.generation, self.answer = answer.member_id, answer.generation_id, answer
        return self

    @property
    def leads(self) -> bool:
        """Whether the group made it the leader."""
        return bool(self.answer.leader == self.id)

    async def ask_to_sync(self, parts: Mapping[str, bytes] | None = None, **changes: Any) -> Any:
        """Ask for the assignment, or bring everybody's; return the answer."""
        fields = {
            "protocol_type": "consumer",
            "protocol_name": self.answer.protocol_name if self.answer else "range",
            "assignments": [
                {"member_id": name, "assignment": part} for name, part in (parts or {}).items()
            ],
        }
        return await self.ask(ApiKey.SYNC_GROUP, 5, **fields | changes)

    async def sync(self) -> bytes:
        """Return the assignment; a leader brings everybody's, their own ids."""
        parts = {one.member_id: one.member_id.encode() for one in self.answer.members}
        answer = await self.ask_to_sync(parts)
        assert answer.error_code is NONE, answer
        return bytes(answer.assignment)

    async def beat(self, **changes: Any) -> ErrorCode:
        """Say that it is alive; return what it is told."""
        answer = await self.ask(ApiKey.HEARTBEAT, 4, **changes)
        return ErrorCode(answer.error_code)

    async def leave(self) -> ErrorCode:
        """Leave; return what it is told."""
        member = {"member_id": self.id, "group_instance_id": self.instance, "reason": None}
        answer = await self.ask(ApiKey.LEAVE_GROUP, 5, members=[member])
        return ErrorCode(answer.error_code or answer.members[0].error_code)

    async def commit(self, topic: str, offset: int = 1, **changes: Any) -> ErrorCode:
        """Commit the position in a topic's first partition; return what it is told."""
        return (await self.commits({(topic, 0): (offset, "")}, **changes))[topic, 0]

    async def commits(
        self, positions: Mapping[tuple[str, int], tuple[int, str]], **changes: Any
    ) -> dict[tuple[str, int], ErrorCode]:
        """Commit positions, each with a note; return what it is told of each."""
        topics = [
            {
                "name": topic,
                "partitions": [
                    {
                        "partition_index": index,
                        "committed_offset": offset,
                        "committed_leader_epoch": -1,
                        "committed_metadata": note,
                    }
                ],
            }
            for (topic, index), (offset, note) in positions.items()
        ]
        answer = await self.ask(ApiKey.OFFSET_COMMIT, 9, topics=topics, **changes)
        return {
            (topic.name, part.partition_index): ErrorCode(part.error_code)
            for topic in answer.topics
            for part in topic.partitions
        }


class Party:
    """A group of its own for a test, its members, and an administrator who looks at it."""

    def __init__(self, address: Address, connections: AsyncExitStack) -> None:
        self.group = f"engines.{uuid.uuid4().hex}"
        self._address, self._connections = address, connections
        self.members: list[Member] = []
        self.admin: Raw

    async def start(self) -> Self:
        """Connect, and wait until the group's coordinator answers: a fresh Kafka makes it first."""
        self.admin = await self.connect()
        await until(self._coordinated)
        return self

    async def _coordinated(self) -> bool:
        found = await self.admin.ask(
            ApiKey.FIND_COORDINATOR, 4, key_type=0, coordinator_keys=(self.group,)
        )
        described = await self.describe()
        return not {found.coordinators[0].error_code, described.error_code} & _LOADING

    async def stop(self) -> None:
        """Let all members go: a group with members outlives the test."""
        for member in self.members:
            fields = {"member_id": member.id, "group_instance_id": None, "reason": None}
            await self.admin.ask(ApiKey.LEAVE_GROUP, 5, group_id=member.group, members=[fields])

    async def connect(self) -> Raw:
        """Return a connection that ends with the test."""
        return await self._connections.enter_async_context(await Raw.to(self._address))

    async def member(self, instance: str | None = None, *, group: str | None = None) -> Member:
        """Return somebody who has not joined yet."""
        known = self.group if group is None else group
        member = Member(await self.connect(), known, instance)
        self.members.append(member)
        return member

    async def gather(
        self, count: int, instances: Sequence[str] = (), **changes: Any
    ) -> list[Member]:
        """Return a stable group of so many members, who joined alike; the first one leads."""
        names: list[str | None] = [*instances, *[None] * (count - len(instances))]
        members = [await self.member(name) for name in names]
        await members[0].join(**changes)
        joining = [asyncio.create_task(one.join(**changes)) for one in members[1:]]
        await until(lambda: self.has(members=count))
        await asyncio.gather(*joining, *([members[0].join()] if joining else []))
        await asyncio.gather(*(one.sync() for one in members))
        return members

    async def describe(self, group: str | None = None) -> Any:
        """Return the group as administrators see it."""
        answer = await self.admin.ask(
            ApiKey.DESCRIBE_GROUPS,
            5,
            groups=(self.group if group is None else group,),
            include_authorized_operations=False,
        )
        return answer.groups[0]

    async def has(self, *, members: int | None = None, state: str | None = None) -> bool:
        """Say whether the group has so many members, and is in this state."""
        found = await self.describe()
        return (members is None or len(found.members) == members) and (
            state is None or found.group_state == state
        )

    async def positions(self, *topics: str) -> dict[tuple[str, int], tuple[int, str]]:
        """Return the group's positions, each with its note; in these topics, or all of them."""
        wanted = [{"name": topic, "partition_indexes": (0, 1)} for topic in topics]
        one = {
            "group_id": self.group,
            "member_id": None,
            "member_epoch": -1,
            "topics": wanted if topics else None,
        }
        answer = await self.admin.ask(ApiKey.OFFSET_FETCH, 9, groups=[one], require_stable=False)
        assert answer.groups[0].error_code is NONE
        return {
            (topic.name, part.partition_index): (part.committed_offset, part.metadata)
            for topic in answer.groups[0].topics
            for part in topic.partitions
        }
