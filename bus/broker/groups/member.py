"""What a group can be doing, what members are told meanwhile, and a member. Tables and values."""

from dataclasses import dataclass
from enum import Enum

from kio.schema.errors import ErrorCode

from bus.broker.groups.messages import Join, JoinAnswer, ReplyJoin, ReplySync, SyncAnswer


class State(Enum):
    """What a group is doing, by the name that administrators see."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


# fmt: off
NEXT = {
    State.EMPTY:      {State.PREPARING},
    State.PREPARING:  {State.COMPLETING, State.EMPTY},
    State.COMPLETING: {State.STABLE, State.PREPARING},
    State.STABLE:     {State.PREPARING},
}

# What a member that belongs to the generation is told by a heartbeat or a commit.
HEARTBEAT = {
    State.EMPTY:      ErrorCode.unknown_member_id,
    State.PREPARING:  ErrorCode.rebalance_in_progress,
    State.COMPLETING: ErrorCode.none,
    State.STABLE:     ErrorCode.none,
}
COMMIT = {
    State.EMPTY:      ErrorCode.unknown_member_id,
    State.PREPARING:  ErrorCode.none,
    State.COMPLETING: ErrorCode.rebalance_in_progress,
    State.STABLE:     ErrorCode.none,
}
# fmt: on


@dataclass(slots=True)
class Member:
    """A member of a group.

    Attributes:
        deadline: when it is given up unless it is heard of; not while it waits for an answer.
        joining: how to answer its join, if it waits for the generation to be complete.
        syncing: how to answer its sync, if it waits for the leader.
    """

    id: str
    join: Join
    deadline: float
    joining: ReplyJoin | None = None
    syncing: ReplySync | None = None
    assignment: bytes = b""

    @property
    def instance(self) -> str | None:
        """The static member's name."""
        return self.join.instance

    def metadata(self, protocol: str) -> bytes:
        """Return what it said for an assignment strategy."""
        return dict(self.join.protocols).get(protocol, b"")

    def answer_join(self, answer: JoinAnswer) -> None:
        """Answer its join, if it waits for it."""
        reply, self.joining = self.joining, None
        if reply is not None:
            reply(answer)

    def answer_sync(self, answer: SyncAnswer) -> None:
        """Answer its sync, if it waits for it."""
        reply, self.syncing = self.syncing, None
        if reply is not None:
            reply(answer)
