"""All consumer groups: which exist, and what is answered for those that do not. Pure."""

from collections.abc import Iterable, Iterator

from kio.schema.errors import ErrorCode

from bus.broker.groups.group import Group
from bus.broker.groups.member import State
from bus.broker.groups.messages import Join, JoinAnswer, ReplyJoin, ReplySync, Sync, SyncAnswer
from bus.broker.groups.room import ALL, Held, Room

# Kafka's group.min.session.timeout.ms and group.max.session.timeout.ms, in seconds.
SHORTEST_SESSION = 6.0
LONGEST_SESSION = 1800.0

# Kafka's offsets.retention.check.interval.ms, in seconds: so long it remembers the generation of a
# group that has neither members nor positions any more.
IDLE = 600.0

_CONSUMERS = "consumer"  # the kind of group whose members say what they are subscribed to


class Coordinator:
    """All groups by name.

    Args:
        room: bytes of memory that members of all groups may hold.
    """

    def __init__(self, room: int = ALL) -> None:
        self._groups: dict[str, Group] = {}
        self._room = Room(room)

    def __iter__(self) -> Iterator[Group]:
        return iter(self._groups.values())

    def get(self, name: str) -> Group | None:
        """Return the group of this name."""
        return self._groups.get(name)

    def know(self, names: Iterable[str]) -> None:
        """Take note of groups that have positions: they stay when their members have gone."""
        for name in names:
            self._groups.setdefault(name, Group(name)).kept = True

    def release(self, name: str) -> None:
        """Take note that a group has no positions any more: without members, too, it is gone."""
        group = self._groups.get(name)
        if group is not None:
            group.kept = False
            if not group.members and not group.invited:
                del self._groups[name]

    def meet(self, name: str) -> None:
        """Take note of a group that may have positions soon; it is forgotten as every idle one."""
        self._groups.setdefault(name, Group(name))

    def join(self, name: str, join: Join, now: float, reply: ReplyJoin) -> None:
        """See `Group.join`."""
        if not name:
            error = ErrorCode.invalid_group_id
        elif not SHORTEST_SESSION <= join.session <= LONGEST_SESSION:
            error = ErrorCode.invalid_session_timeout
        elif name not in self._groups and join.member_id:
            error = ErrorCode.unknown_member_id
        elif not self._room.take(join.principal, join.size, self._held(), now):
            error = ErrorCode.group_max_size_reached
        else:
            group = self._groups.setdefault(name, Group(name))
            group.maker = group.maker or join.principal
            group.join(join, now, reply)
            return
        reply(JoinAnswer(error=error, member_id=join.member_id))

    def sync(self, name: str, sync: Sync, now: float, reply: ReplySync) -> None:
        """See `Group.sync`."""
        group = self._groups.get(name)
        if group is None:
            error = ErrorCode.unknown_member_id if name else ErrorCode.invalid_group_id
            reply(SyncAnswer(error=error))
        elif sync.size and not self._room.take(sync.principal, sync.size, self._held(), now):
            reply(SyncAnswer(error=ErrorCode.group_max_size_reached))
        else:
            group.sync(sync, now, reply)

    def _held(self) -> Held:
        return (one for group in self._groups.values() for one in group.held())

    def heartbeat(
        self, name: str, member_id: str, instance: str | None, generation: int, now: float
    ) -> ErrorCode:
        """See `Group.heartbeat`."""
        group = self._groups.get(name)
        if group is None:
            return ErrorCode.unknown_member_id if name else ErrorCode.invalid_group_id
        return group.heartbeat(member_id, instance, generation, now)

    def leave(self, name: str, member_id: str, instance: str | None, now: float) -> ErrorCode:
        """See `Group.leave`."""
        group = self._groups.get(name)
        return group.leave(member_id, instance, now) if group else ErrorCode.unknown_member_id

    def may_commit(
        self, name: str, member_id: str, instance: str | None, generation: int, now: float
    ) -> ErrorCode:
        """See `Group.may_commit`; a group that does not exist yet may be committed to by nobody's
        member only.
        """
        group = self._groups.get(name)
        if group is not None:
            return group.may_commit(member_id, instance, generation, now)
        return ErrorCode.none if generation < 0 else ErrorCode.group_id_not_found

    def may_commit_in_transaction(
        self, name: str, member_id: str, instance: str | None, generation: int
    ) -> ErrorCode:
        """See `Group.may_commit_in_transaction`."""
        group = self._groups.get(name)
        if group is not None:
            return group.may_commit_in_transaction(member_id, instance, generation)
        return ErrorCode.none if generation < 0 else ErrorCode.illegal_generation

    def may_delete(self, name: str) -> ErrorCode:
        """Say whether a group can be deleted."""
        group = self._groups.get(name)
        if group is None:
            return ErrorCode.group_id_not_found
        return ErrorCode.none if group.state is State.EMPTY else ErrorCode.non_empty_group

    def may_forget(self, name: str) -> ErrorCode:
        """Say whether positions of a group can be deleted while it stays."""
        error = self.may_delete(name)
        group = self._groups.get(name)
        return ErrorCode.none if group and group.protocol_type == _CONSUMERS else error

    def delete(self, name: str) -> None:
        """Forget a group without members."""
        self._groups.pop(name, None)

    def expire(self, now: float) -> None:
        """Give up on silent members, and forget groups that have been idle for long."""
        for name, group in list(self._groups.items()):
            if group.members or group.invited:
                group.expire(now)
            if group.kept or group.members or group.invited:
                group.idle = None
            elif group.idle is None:
                group.idle = now
            elif now - group.idle >= IDLE:
                del self._groups[name]
