"""What members ask of a group and what they are answered. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from kio.schema.errors import ErrorCode

OBJECTS = 2048  # bytes that a member takes whatever it says, about


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A member wants to be in the next generation.

    Attributes:
        member_id: empty for who is new.
        instance: the static member's name.
        session: seconds without a heartbeat after which the member is given up.
        rebalance: seconds that the member may take to join again.
        protocols: name and metadata of each assignment strategy, best first.
        must_be_known: who is new gets an id first and asks again with it (since version 4).
        may_skip: a static leader that comes back may be told to leave the assignment (version 9).
        principal: whose member it is.
    """

    member_id: str
    instance: str | None = None
    client_id: str = ""
    client_host: str = ""
    session: float
    rebalance: float
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    must_be_known: bool = False
    may_skip: bool = False
    principal: str = ""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes to know the member."""
        said = sum(len(name) + len(metadata) + OBJECTS // 16 for name, metadata in self.protocols)
        return OBJECTS + said + 2 * len(self.client_id) + 2 * len(self.instance or "")


class JoinedMember(NamedTuple):
    """A member as the leader is told of it."""

    member_id: str
    instance: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
    """What a member is told once the generation is complete; the leader also of all members."""

    error: ErrorCode = ErrorCode.none
    generation: int = -1
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    member_id: str = ""
    members: tuple[JoinedMember, ...] = ()
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """A member asks for its assignment; the leader brings everybody's."""

    member_id: str
    instance: str | None = None
    generation: int
    protocol_type: str | None = None
    protocol: str | None = None
    assignments: tuple[tuple[str, bytes], ...] = ()
    principal: str = ""

    @property
    def size(self) -> int:
        """How many bytes of assignments it brings."""
        return sum(len(assignment) for _, assignment in self.assignments)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAnswer:
    """A member's assignment."""

    error: ErrorCode = ErrorCode.none
    protocol_type: str = ""
    protocol: str = ""
    assignment: bytes = b""


class DescribedMember(NamedTuple):
    """A member as administrators see it."""

    member_id: str
    instance: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


ReplyJoin = Callable[[JoinAnswer], None]
ReplySync = Callable[[SyncAnswer], None]
