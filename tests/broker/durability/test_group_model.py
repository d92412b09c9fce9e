"""Groups as their members see them: a model of what they may rely on, whatever anybody does.

Members only know what they were told. They join, sync, beat, commit, leave, come back under a
static name, fall silent, and use ids and generations that are long out of date.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)
from kio.schema.errors import ErrorCode

from bus.broker.groups.coordinator import Coordinator
from bus.broker.groups.member import State
from bus.broker.groups.messages import Join, JoinAnswer, Sync, SyncAnswer

SESSION, REBALANCE = 10.0, 20.0
LONGEST_WAIT = 2 * REBALANCE + SESSION
"""Seconds: who does not join is given up after one time to rebalance, a leader after the next."""

NONE = ErrorCode.none


@dataclass(eq=False)
class Client:
    """A member by what it was told; several may have had one static name."""

    name: str
    instance: str | None = None
    member_id: str = ""
    generation: int = -1
    roll: tuple[str, ...] = ()
    waits_since: list[float] = field(default_factory=list)


class GroupModel(RuleBasedStateMachine):
    """One group, a clock that only the test moves, and what all members were told."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        self.groups = Coordinator()
        self.now = 0.0
        self.everybody: list[Client] = []
        self.leaders: dict[int, str] = {}
        self.protocols: dict[int, str] = {}
        self.brought: dict[tuple[int, str], set[bytes]] = {}
        self.known: set[str] = set()  # ids that were given
        self.newest = -1
        self.over = -1  # the newest generation that somebody was told is over
        self.position: tuple[int, int] = (-1, -1)  # generation and offset, as committed
        self.offsets = 0

    @rule(target=clients, instance=st.sampled_from([None, None, "i", "j"]), known=st.booleans())
    def enter(self, instance: str | None, known: bool) -> Client:
        """Somebody new joins, or somebody under a name that is known."""
        client = Client(f"c{len(self.everybody)}", instance)
        self.everybody.append(client)
        self._join(client, ("range", "sticky"), must_be_known=known)
        return client

    @rule(client=clients, protocols=st.sampled_from([("range",), ("sticky", "range")]))
    def join_again(self, client: Client, protocols: tuple[str, ...]) -> None:
        """A member joins with the id that it was given, perhaps with other strategies."""
        self._join(client, protocols)

    @rule(client=clients)
    def sync(self, client: Client) -> None:
        """A member asks for its part; if it was told to lead, it brings everybody's."""
        generation, member_id = client.generation, client.member_id
        parts = {
            other: f"{generation} {member_id} {len(self.brought)} {other}".encode()
            for other in client.roll
        }
        for other, part in parts.items():
            self.brought.setdefault((generation, other), set()).add(part)
        if not parts:  # what a follower brings is nobody's part
            parts = dict.fromkeys((member_id, *self.known), b"usurped")
        since = self._waits(client)

        def told(answer: SyncAnswer) -> None:
            client.waits_since.remove(since)
            if answer.error is NONE:
                self._assigned(generation, answer)

        sync = Sync(
            member_id=member_id,
            instance=client.instance,
            generation=generation,
            assignments=tuple(parts.items()),
        )
        self.groups.sync("g", sync, self.now, told)

    @rule(client=clients)
    def beat(self, client: Client) -> None:
        """A member says that it is alive."""
        error = self.groups.heartbeat(
            "g", client.member_id, client.instance, client.generation, self.now
        )
        assert error is not NONE or client.generation == self.newest
        if error is ErrorCode.rebalance_in_progress:
            self.over = max(self.over, client.generation)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """All members do as they are told; the leader brings the parts when all wait for them."""
        group = self.groups.get("g")
        members = [one for one in self.everybody if group and one.member_id in group.members]
        for client in data.draw(st.permutations(members)):
            self.beat(client)
            self._join(client, ("range", "sticky"))
        for client in sorted(members, key=lambda one: bool(one.roll)):
            self.sync(client)

    @precondition(lambda self: any(one.waits_since for one in self.everybody))
    @rule(client=clients)
    def beat_on(self, client: Client) -> None:
        """A member that is told to join again does not, and says that it is alive all the same."""
        for _ in range(15):
            self._pass(SESSION / 2)
            self.beat(client)
            self.nobody_waits_for_ever()

    @rule(client=clients)
    def commit(self, client: Client) -> None:
        """A member commits: one of an older generation never can, so nothing goes back."""
        self.offsets += 1
        error = self.groups.may_commit(
            "g", client.member_id, client.instance, client.generation, self.now
        )
        if error is NONE and client.generation >= 0:
            assert client.generation == self.newest
            assert client.generation >= self.position[0]
            self.position = (client.generation, self.offsets)

    @rule()
    def commit_from_outside(self) -> None:
        """Who is no member may commit to an empty group only: not while somebody is expected."""
        group = self.groups.get("g")
        error = self.groups.may_commit("g", "", None, -1, self.now)
        assert (error is NONE) == (group is None or group.state is State.EMPTY)
        assert error is not NONE or group is None or not group.members

    @rule(client=consumes(clients))
    def leave(self, client: Client) -> None:
        """A member leaves, and is not heard of again."""
        self.groups.leave("g", client.member_id, client.instance, self.now)

    @rule(client=consumes(clients))
    def leave_while_joining(self, client: Client) -> None:
        """A member leaves before it is told which generation it has joined."""
        self._join(client, ("range", "sticky"))
        self.groups.leave("g", client.member_id, client.instance, self.now)

    @rule(target=clients, client=consumes(clients))
    def come_back(self, client: Client) -> Client:
        """A member's process dies and starts again: it knows only its static name."""
        again = Client(f"{client.name}+", client.instance)
        self.everybody.append(again)
        self._join(again, ("range", "sticky"))
        return again

    @rule(target=clients, client=consumes(clients))
    def forget_nothing(self, client: Client) -> object:
        """Two processes think that they are the same member."""
        twin = Client(
            f"{client.name}'", client.instance, client.member_id, client.generation, client.roll
        )
        self.everybody.append(twin)
        return multiple(client, twin)

    @rule(seconds=st.sampled_from([0.5, 0.5, 0.5, 4.0, 4.0, 11.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, in steps as short as those of a running broker are beside sessions."""
        self._pass(seconds)

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        """Whoever waits is answered within the time that its group takes at the most."""
        for client in self.everybody:
            assert all(self.now - since <= LONGEST_WAIT for since in client.waits_since)

    def teardown(self) -> None:
        """In the end everybody is silent, and everybody has been answered."""
        self._pass(10 * LONGEST_WAIT)
        group = self.groups.get("g")
        assert group is None or not group.members
        assert not any(client.waits_since for client in self.everybody)

    def _pass(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            self.groups.expire(self.now)

    def _waits(self, client: Client) -> float:
        client.waits_since.append(self.now)
        return self.now

    def _join(
        self, client: Client, protocols: tuple[str, ...], *, must_be_known: bool = False
    ) -> None:
        since = self._waits(client)

        def told(answer: JoinAnswer) -> None:
            client.waits_since.remove(since)
            self._joined(client, answer)

        join = Join(
            member_id=client.member_id,
            instance=client.instance,
            client_id=client.name,
            session=SESSION,
            rebalance=REBALANCE,
            protocol_type="consumer",
            protocols=tuple((name, client.name.encode()) for name in protocols),
            must_be_known=must_be_known,
        )
        self.groups.join("g", join, self.now, told)

    def _joined(self, client: Client, answer: JoinAnswer) -> None:
        """There is one generation at a time: one leader, one strategy, and no way back."""
        if answer.error is ErrorCode.member_id_required:
            client.member_id = answer.member_id
        if answer.error is not NONE:
            return
        assert answer.generation >= self.newest
        assert answer.generation > self.over
        self.newest = answer.generation
        self.known.add(answer.member_id)
        client.member_id, client.generation = answer.member_id, answer.generation
        client.roll = tuple(member.member_id for member in answer.members)
        assert self.protocols.setdefault(answer.generation, answer.protocol) == answer.protocol
        if client.roll:
            assert answer.leader == answer.member_id
            assert answer.member_id in client.roll
            if client.instance is None:  # a static one hands the lead to who takes its place
                leader = self.leaders.setdefault(answer.generation, answer.member_id)
                assert leader == answer.member_id

    def _assigned(self, generation: int, answer: SyncAnswer) -> None:
        """A part comes from who was told to lead this very generation, or there is none."""
        assert generation == self.newest
        brought = [parts for (of, _), parts in self.brought.items() if of == generation]
        assert not answer.assignment or any(answer.assignment in parts for parts in brought)


GroupModel.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestGroupModel = GroupModel.TestCase
