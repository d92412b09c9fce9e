"""One consumer group of the classic protocol: a state machine without clock or sockets.

Time comes in as an argument (seconds on any clock that only goes forward); answers go out through
the functions that came with the requests, at once or later. The rules are Kafka's (ClassicGroup,
GroupMetadataManager).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from kio.schema.errors import ErrorCode

from bus.broker.groups.member import COMMIT, HEARTBEAT, NEXT, Member, State
from bus.broker.groups.messages import (
    OBJECTS,
    DescribedMember,
    Join,
    JoinAnswer,
    JoinedMember,
    ReplyJoin,
    ReplySync,
    Sync,
    SyncAnswer,
)
from bus.broker.groups.subscription import topics_of


def _new_id(stem: str) -> str:
    return f"{stem}-{uuid4()}"


@dataclass(slots=True)
class Group:
    """One group.

    Attributes:
        deadline: when those that have not joined (or synced) yet are given up.
        invited: ids given to members that have not joined with them yet, and until when they may.
        kept: whether it has positions, so that it stays when its members have gone.
        idle: since when it has had neither members nor positions.
        maker: the principal whose member was the first.
    """

    name: str
    new_id: Callable[[str], str] = _new_id
    state: State = State.EMPTY
    generation: int = 0
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    deadline: float = 0.0
    kept: bool = False
    idle: float | None = None
    maker: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    invited: dict[str, float] = field(default_factory=dict)
    _instances: dict[str, str] = field(default_factory=dict)

    def join(self, join: Join, now: float, reply: ReplyJoin) -> None:
        """Let a member into the next generation; the answer may come much later."""
        error = self._join_error(join)
        if error is not ErrorCode.none:
            reply(JoinAnswer(error=error, member_id=join.member_id))
        elif join.member_id in self.members:
            self._join_again(self.members[join.member_id], join, now, reply)
        elif join.instance is not None and join.instance in self._instances:
            self._return(join, now, reply)
        elif join.member_id or join.instance is not None or not join.must_be_known:
            self._enter(join, now, reply)
        else:
            invited = self.new_id(join.client_id)
            self.invited[invited] = now + join.session
            reply(JoinAnswer(error=ErrorCode.member_id_required, member_id=invited))

    def sync(self, sync: Sync, now: float, reply: ReplySync) -> None:
        """Hand a member its assignment, once the leader has brought it."""
        error = self._sync_error(sync)
        if error is not ErrorCode.none:
            reply(SyncAnswer(error=error))
            return
        member = self.members[sync.member_id]
        member.deadline = now + member.join.session
        if self.state is State.STABLE:
            reply(self._assigned(member))
            return
        member.answer_sync(SyncAnswer(error=ErrorCode.rebalance_in_progress))
        member.syncing = reply
        if member.id == self.leader:
            self._distribute(dict(sync.assignments), now)

    def heartbeat(
        self, member_id: str, instance: str | None, generation: int, now: float
    ) -> ErrorCode:
        """Note that a member is alive, and tell it whether it has to join again."""
        error = self._identity_error(member_id, instance, generation)
        if error is ErrorCode.none:
            member = self.members[member_id]
            member.deadline = now + member.join.session
            error = HEARTBEAT[self.state]
        return error

    def may_commit(
        self, member_id: str, instance: str | None, generation: int, now: float
    ) -> ErrorCode:
        """Say whether positions may be committed: by a member, or by anybody to an empty group."""
        if generation < 0 and self.state is State.EMPTY:
            return ErrorCode.none
        error = self._identity_error(member_id, instance, generation)
        if error is ErrorCode.none:
            member = self.members[member_id]
            member.deadline = now + member.join.session
            error = COMMIT[self.state]
        return error

    def may_commit_in_transaction(
        self, member_id: str, instance: str | None, generation: int
    ) -> ErrorCode:
        """Say whether positions may be part of a transaction.

        A producer that does not say for which member it commits is let through in every state, and
        so is a member whose group rebalances: fencing its producer is what keeps it in order.
        """
        if generation < 0 and (self.state is State.EMPTY or (not member_id and instance is None)):
            return ErrorCode.none
        return self._identity_error(member_id, instance, generation)

    def leave(self, member_id: str, instance: str | None, now: float) -> ErrorCode:
        """Let a member go; a static one may go by its name alone."""
        if instance is not None:
            known = self._instances.get(instance)
            if known is None:
                return ErrorCode.unknown_member_id
            if member_id and member_id != known:
                return ErrorCode.fenced_instance_id
            member_id = known
        if self.invited.pop(member_id, None) is not None:
            self._complete_if_all(now)
        elif member_id in self.members:
            self._remove([self.members[member_id]], now)
        else:
            return ErrorCode.unknown_member_id
        return ErrorCode.none

    def expire(self, now: float) -> None:
        """Give up on members that were silent for too long, and on those that hold others up."""
        for invited in [id_ for id_, deadline in self.invited.items() if deadline <= now]:
            del self.invited[invited]
        silent = [
            member
            for member in self.members.values()
            if member.deadline <= now and not member.joining and not member.syncing
        ]
        if silent:
            self._remove(silent, now)
        if self.state is State.PREPARING and self.deadline <= now:
            self._complete(now)
        elif self.state is State.COMPLETING and self.deadline <= now:
            self._remove([m for m in self.members.values() if not m.syncing], now)
        self._complete_if_all(now)

    def held(self) -> Iterator[tuple[str, int]]:
        """Yield how many bytes of memory it takes, by principal."""
        yield self.maker, OBJECTS * (1 + len(self.invited))
        for member in self.members.values():
            yield member.join.principal, member.join.size + len(member.assignment)

    def describe(self) -> list[DescribedMember]:
        """Return the members as administrators see them; what they said only of a stable group."""
        stable = self.state is State.STABLE
        return [
            DescribedMember(
                member.id,
                member.instance,
                member.join.client_id,
                member.join.client_host,
                member.metadata(self.protocol) if stable else b"",
                member.assignment,
            )
            for member in self.members.values()
        ]

    def subscribed(self, topic: str) -> bool:
        """Say whether consumers want this topic; where they do not say, they may."""
        wanted = [topics_of(member.metadata(self.protocol)) for member in self.members.values()]
        return any(topics is None or topic in topics for topics in wanted)

    def _join_error(self, join: Join) -> ErrorCode:
        common = self._common_protocols()
        if not join.protocol_type or not join.protocols:
            return ErrorCode.inconsistent_group_protocol
        if self.members and (
            join.protocol_type != self.protocol_type
            or not any(name in common for name, _ in join.protocols)
        ):
            return ErrorCode.inconsistent_group_protocol
        if not join.member_id:
            return ErrorCode.none
        if join.instance is not None:
            return self._instance_error(join.member_id, join.instance)
        if join.member_id in self.members or join.member_id in self.invited:
            return ErrorCode.none
        return ErrorCode.unknown_member_id

    def _sync_error(self, sync: Sync) -> ErrorCode:
        error = self._identity_error(sync.member_id, sync.instance, sync.generation)
        if error is not ErrorCode.none:
            return error
        if sync.protocol_type not in {None, self.protocol_type}:
            return ErrorCode.inconsistent_group_protocol
        if sync.protocol not in {None, self.protocol}:
            return ErrorCode.inconsistent_group_protocol
        if self.state is State.PREPARING:
            return ErrorCode.rebalance_in_progress
        return ErrorCode.none

    def _identity_error(self, member_id: str, instance: str | None, generation: int) -> ErrorCode:
        if instance is not None:
            error = self._instance_error(member_id, instance)
            if error is not ErrorCode.none:
                return error
        if member_id not in self.members:
            return ErrorCode.unknown_member_id
        if generation != self.generation:
            return ErrorCode.illegal_generation
        return ErrorCode.none

    def _instance_error(self, member_id: str, instance: str) -> ErrorCode:
        known = self._instances.get(instance)
        if known is None:
            return ErrorCode.unknown_member_id
        return ErrorCode.none if known == member_id else ErrorCode.fenced_instance_id

    def _enter(self, join: Join, now: float, reply: ReplyJoin) -> None:
        member_id = join.member_id or self.new_id(join.instance or join.client_id)
        self.invited.pop(member_id, None)
        if not self.members:
            self.protocol_type, self.leader = join.protocol_type, member_id
        self.members[member_id] = Member(member_id, join, now + join.session, joining=reply)
        if join.instance is not None:
            self._instances[join.instance] = member_id
        self._rebalance(now)

    def _join_again(self, member: Member, join: Join, now: float, reply: ReplyJoin) -> None:
        same = member.join.protocols == join.protocols
        leads = member.id == self.leader
        member.join, member.deadline = join, now + join.session
        if same and (self.state is State.COMPLETING or (self.state is State.STABLE and not leads)):
            reply(self._joined(member))
            return
        member.answer_join(self._refused(member, ErrorCode.rebalance_in_progress))
        member.joining = reply
        self._rebalance(now)

    def _return(self, join: Join, now: float, reply: ReplyJoin) -> None:
        """Let a static member take the place of the one that had its name before."""
        instance = join.instance or ""
        old = self.members.pop(self._instances[instance])
        old.answer_join(self._refused(old, ErrorCode.fenced_instance_id))
        old.answer_sync(SyncAnswer(error=ErrorCode.fenced_instance_id))
        member = Member(self.new_id(instance), join, now + join.session, assignment=old.assignment)
        self.members[member.id] = member
        self._instances[instance] = member.id
        led = self.leader == old.id
        if led:
            self.leader = member.id
        if self.state is not State.STABLE or self._vote() != self.protocol:
            member.joining = reply
            self._rebalance(now)
        elif led and not join.may_skip:
            # Told that another leads, it leaves the assignment as it is and asks for its own part.
            reply(self._joined(member, leader=old.id))
        else:
            reply(self._joined(member, skip=led))

    def _rebalance(self, now: float) -> None:
        if self.state is not State.PREPARING:
            for member in self.members.values():
                member.answer_sync(SyncAnswer(error=ErrorCode.rebalance_in_progress))
            self._become(State.PREPARING)
            self.deadline = now + self._patience()
        self._complete_if_all(now)

    def _complete_if_all(self, now: float) -> None:
        if self.state is not State.PREPARING or self.invited:
            return
        if all(member.joining for member in self.members.values()):
            self._complete(now)

    def _complete(self, now: float) -> None:
        """Begin the next generation with those that have joined; static members stay anyhow."""
        for member in list(self.members.values()):
            if not member.joining and member.instance is None:
                self._forget(member)
        joined = [member for member in self.members.values() if member.joining]
        if not joined and self.members:
            self.deadline = now + self._patience()
            return
        self.generation += 1
        if not joined:
            self._become(State.EMPTY)
            self.protocol, self.leader = "", ""
            return
        if self.leader not in {member.id for member in joined}:
            self.leader = joined[0].id
        self.protocol = self._vote()
        self._become(State.COMPLETING)
        self.deadline = now + self._patience()
        for member in joined:
            member.deadline = now + member.join.session
            member.answer_join(self._joined(member))

    def _distribute(self, assignments: dict[str, bytes], now: float) -> None:
        self._become(State.STABLE)
        for member in list(self.members.values()):
            member.assignment = assignments.get(member.id, b"")
            if member.syncing:
                member.deadline = now + member.join.session
                member.answer_sync(self._assigned(member))

    def _remove(self, gone: Iterable[Member], now: float) -> None:
        for member in gone:
            self._forget(member)
        if self.state is not State.EMPTY:
            self._rebalance(now)

    def _forget(self, member: Member) -> None:
        del self.members[member.id]
        if member.instance is not None:
            del self._instances[member.instance]
        if self.leader == member.id:
            self.leader = next(iter(self.members), "")
        member.answer_join(self._refused(member, ErrorCode.unknown_member_id))
        member.answer_sync(SyncAnswer(error=ErrorCode.unknown_member_id))

    def _become(self, state: State) -> None:
        if state not in NEXT[self.state]:
            raise AssertionError(f"{self.name}: {self.state} cannot become {state}")
        self.state = state

    def _patience(self) -> float:
        return max((member.join.rebalance for member in self.members.values()), default=0.0)

    def _common_protocols(self) -> set[str]:
        offers = [{name for name, _ in m.join.protocols} for m in self.members.values()]
        return set.intersection(*offers) if offers else set()

    def _vote(self) -> str:
        common = self._common_protocols()
        votes = Counter(
            next(name for name, _ in member.join.protocols if name in common)
            for member in self.members.values()
        )
        return votes.most_common(1)[0][0]

    def _joined(self, member: Member, *, leader: str = "", skip: bool = False) -> JoinAnswer:
        leader = leader or self.leader
        return JoinAnswer(
            generation=self.generation,
            protocol_type=self.protocol_type,
            protocol=self.protocol,
            leader=leader,
            member_id=member.id,
            members=self._roll() if leader == member.id else (),
            skip_assignment=skip,
        )

    def _roll(self) -> tuple[JoinedMember, ...]:
        return tuple(
            JoinedMember(member.id, member.instance, member.metadata(self.protocol))
            for member in self.members.values()
        )

    def _assigned(self, member: Member) -> SyncAnswer:
        return SyncAnswer(
            protocol_type=self.protocol_type,
            protocol=self.protocol,
            assignment=member.assignment,
        )

    @staticmethod
    def _refused(member: Member, error: ErrorCode) -> JoinAnswer:
        return JoinAnswer(error=error, member_id=member.id)
