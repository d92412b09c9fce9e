"""A consumer group without sockets: the rules one by one, then any order of events."""

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kio.schema.errors import ErrorCode

from bus.broker.groups.coordinator import IDLE, Coordinator
from bus.broker.groups.group import Group
from bus.broker.groups.member import COMMIT, HEARTBEAT, NEXT, Member, State
from bus.broker.groups.messages import Join, JoinAnswer, Sync, SyncAnswer

NONE = ErrorCode.none


def test_the_tables_are_complete() -> None:
    assert all(set(table) == set(State) for table in (NEXT, HEARTBEAT, COMMIT))


class Party:
    """A group with a clock, and everything that its members were answered."""

    def __init__(self) -> None:
        ids = count(1)
        self.group = Group("g", new_id=lambda stem: f"{stem}-{next(ids)}")
        self.now = 0.0

    def join(
        self, member_id: str = "", *, instance: str | None = None, **more: object
    ) -> list[JoinAnswer]:
        """Ask to join; the list gets the answer."""
        answers: list[JoinAnswer] = []
        fields: dict[str, object] = {
            "client_id": "c",
            "session": 10.0,
            "rebalance": 60.0,
            "protocol_type": "consumer",
            "protocols": (("range", b"topics"),),
        }
        join = Join(member_id=member_id, instance=instance, **fields | more)  # type: ignore[arg-type]
        self.group.join(join, self.now, answers.append)
        return answers

    def sync(self, member_id: str, generation: int, **parts: bytes) -> list[SyncAnswer]:
        """Ask for the assignment; the leader brings everybody's."""
        answers: list[SyncAnswer] = []
        assignments = tuple((key.replace("_", "-"), value) for key, value in parts.items())
        sync = Sync(member_id=member_id, generation=generation, assignments=assignments)
        self.group.sync(sync, self.now, answers.append)
        return answers

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.group.expire(self.now)

    def two(self) -> None:
        """Bring about a stable group of c-1, the leader, and c-2, in generation 2."""
        self.join()
        self.join()
        self.join("c-1")
        self.sync("c-2", 2)
        self.sync("c-1", 2, c_1=b"first", c_2=b"second")


@pytest.fixture
def party() -> Party:
    """An empty group."""
    return Party()


def test_the_first_member_leads_alone(party: Party) -> None:
    (answer,) = party.join()
    assert (answer.leader, answer.member_id, answer.generation) == ("c-1", "c-1", 1)
    assert [member.member_id for member in answer.members] == ["c-1"]
    (assigned,) = party.sync("c-1", 1, c_1=b"all")
    assert assigned.assignment == b"all"
    assert party.group.state is State.STABLE


def test_who_is_new_gets_an_id_and_asks_again_with_it(party: Party) -> None:
    (invited,) = party.join(must_be_known=True)
    assert (invited.error, invited.member_id) == (ErrorCode.member_id_required, "c-1")
    (answer,) = party.join("c-1", must_be_known=True)
    assert (answer.error, answer.generation) == (NONE, 1)


def test_a_second_member_makes_the_first_join_again(party: Party) -> None:
    party.join()
    party.sync("c-1", 1)
    second = party.join()
    assert not second
    assert party.group.heartbeat("c-1", None, 1, party.now) is ErrorCode.rebalance_in_progress
    (first,) = party.join("c-1")
    assert [m.member_id for m in first.members] == ["c-1", "c-2"]
    assert (second[0].generation, second[0].members) == (2, ())


def test_a_member_waits_for_the_leader_and_gets_its_own_part(party: Party) -> None:
    party.join()
    party.join()
    party.join("c-1")
    waiting = party.sync("c-2", 2)
    assert not waiting
    party.sync("c-1", 2, c_1=b"first", c_2=b"second")
    assert waiting[0].assignment == b"second"


def test_a_silent_member_is_given_up_after_its_session(party: Party) -> None:
    party.two()
    party.wait(9)
    assert party.group.heartbeat("c-1", None, 2, party.now) is NONE
    party.wait(9)
    assert party.group.state is State.PREPARING
    (alone,) = party.join("c-1")
    assert [m.member_id for m in alone.members] == ["c-1"]
    assert party.group.heartbeat("c-2", None, 3, party.now) is ErrorCode.unknown_member_id


def test_who_does_not_join_again_in_time_is_left_out(party: Party) -> None:
    party.two()
    third = party.join(rebalance=30.0)
    for _ in range(7):
        party.wait(9)
        party.group.heartbeat("c-1", None, 2, party.now)
        party.group.heartbeat("c-2", None, 2, party.now)
    assert third[0].leader == "c-3"
    assert [m.member_id for m in third[0].members] == ["c-3"]


def test_who_does_not_sync_in_time_is_left_out(party: Party) -> None:
    party.join()
    second = party.join()
    party.join("c-1")
    assert second[0].generation == 2
    waiting = party.sync("c-2", 2)
    for _ in range(7):
        party.wait(9)
        party.group.heartbeat("c-1", None, 2, party.now)
    assert waiting[0].error is ErrorCode.rebalance_in_progress
    assert "c-1" not in party.group.members


def test_a_leader_that_leaves_is_replaced(party: Party) -> None:
    party.two()
    assert party.group.leave("c-1", None, party.now) is NONE
    (answer,) = party.join("c-2")
    assert (answer.leader, answer.generation) == ("c-2", 3)


def test_the_last_one_out_leaves_an_empty_group(party: Party) -> None:
    party.join()
    party.group.leave("c-1", None, party.now)
    assert (party.group.state, party.group.generation) == (State.EMPTY, 2)
    assert party.group.may_commit("", None, -1, party.now) is NONE


def test_the_strategy_that_most_prefer_and_all_know_is_taken(party: Party) -> None:
    party.join(protocols=(("a", b""), ("b", b"")))
    others = [party.join(protocols=(("b", b""), ("a", b""), ("c", b""))) for _ in range(2)]
    party.join("c-1", protocols=(("a", b""), ("b", b"")))
    assert others[0][0].protocol == "b"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param(
            {"protocol_type": "connect"}, ErrorCode.inconsistent_group_protocol, id="type"
        ),
        pytest.param(
            {"protocols": (("other", b""),)}, ErrorCode.inconsistent_group_protocol, id="strategy"
        ),
        pytest.param({"protocols": ()}, ErrorCode.inconsistent_group_protocol, id="no strategy"),
        pytest.param({"member_id": "who"}, ErrorCode.unknown_member_id, id="unknown member"),
        pytest.param(
            {"member_id": "who", "instance": "i"},
            ErrorCode.unknown_member_id,
            id="unknown instance",
        ),
    ],
)
def test_who_cannot_join(party: Party, more: dict[str, object], error: ErrorCode) -> None:
    party.join()
    member_id = str(more.pop("member_id", ""))
    (answer,) = party.join(member_id, **more)  # type: ignore[arg-type]
    assert answer.error is error
    assert party.group.state is State.COMPLETING


def by_heartbeat(group: Group, member: str, generation: int) -> ErrorCode:
    """Send a heartbeat."""
    return group.heartbeat(member, None, generation, 0.0)


def by_commit(group: Group, member: str, generation: int) -> ErrorCode:
    """Ask to commit."""
    return group.may_commit(member, None, generation, 0.0)


@pytest.mark.parametrize("ask", [by_heartbeat, by_commit])
@pytest.mark.parametrize(
    ("member", "generation", "error"),
    [
        pytest.param("c-1", 2, NONE, id="of this generation"),
        pytest.param("c-1", 1, ErrorCode.illegal_generation, id="of an old generation"),
        pytest.param("c-9", 2, ErrorCode.unknown_member_id, id="unknown"),
    ],
)
def test_zombies_are_fenced(
    party: Party,
    ask: Callable[[Group, str, int], ErrorCode],
    member: str,
    generation: int,
    error: ErrorCode,
) -> None:
    party.two()
    assert ask(party.group, member, generation) is error


def test_a_commit_from_outside_is_refused_while_there_are_members(party: Party) -> None:
    party.two()
    assert party.group.may_commit("", None, -1, party.now) is ErrorCode.unknown_member_id


class TestStaticMembers:
    """Members with a name of their own (KIP-345)."""

    def test_one_that_comes_back_keeps_its_assignment_without_a_rebalance(
        self, party: Party
    ) -> None:
        party.join(instance="i")
        party.sync("i-1", 1, i_1=b"mine")
        (answer,) = party.join(instance="i")
        assert (answer.error, answer.generation, answer.member_id) == (NONE, 1, "i-2")
        assert (answer.leader, answer.members) == ("i-1", ())
        assert party.sync("i-2", 1)[0].assignment == b"mine"

    def test_a_leader_that_comes_back_may_be_told_to_leave_the_assignment(
        self, party: Party
    ) -> None:
        party.join(instance="i")
        party.sync("i-1", 1, i_1=b"mine")
        (answer,) = party.join(instance="i", may_skip=True)
        assert (answer.leader, answer.skip_assignment) == ("i-2", True)
        assert [m.member_id for m in answer.members] == ["i-2"]

    def test_the_one_before_is_fenced(self, party: Party) -> None:
        party.join(instance="i")
        party.sync("i-1", 1)
        party.join(instance="i")
        fenced = ErrorCode.fenced_instance_id
        assert party.group.heartbeat("i-1", "i", 1, party.now) is fenced
        assert party.group.may_commit("i-1", "i", 1, party.now) is fenced
        assert party.group.leave("i-1", "i", party.now) is fenced
        assert party.join("i-1", instance="i")[0].error is fenced

    def test_one_may_leave_by_its_name(self, party: Party) -> None:
        party.join(instance="i")
        assert party.group.leave("", "i", party.now) is NONE
        assert not party.group.members


@pytest.mark.parametrize(
    ("name", "session", "member", "error"),
    [
        ("", 10.0, "", ErrorCode.invalid_group_id),
        ("g", 5.9, "", ErrorCode.invalid_session_timeout),
        ("g", 1801.0, "", ErrorCode.invalid_session_timeout),
        ("g", 10.0, "x", ErrorCode.unknown_member_id),
        ("g", 10.0, "", NONE),
    ],
)
def test_what_the_coordinator_refuses(
    name: str, session: float, member: str, error: ErrorCode
) -> None:
    answers: list[JoinAnswer] = []
    join = Join(
        member_id=member,
        session=session,
        rebalance=60.0,
        protocol_type="consumer",
        protocols=(("range", b""),),
    )
    Coordinator().join(name, join, 0.0, answers.append)
    assert answers[0].error is error


@pytest.mark.parametrize("kept", [False, True])
def test_a_group_without_members_stays_only_if_it_has_positions(kept: bool) -> None:
    coordinator = Coordinator()
    join = Join(
        member_id="",
        session=10.0,
        rebalance=60.0,
        protocol_type="consumer",
        protocols=(("range", b""),),
    )
    coordinator.join("g", join, 0.0, lambda answer: None)
    if kept:
        coordinator.know(["g"])
    for now in (5.0, 20.0, 19.0 + IDLE):
        coordinator.expire(now)
        assert coordinator.get("g") is not None
    coordinator.expire(20.0 + IDLE)
    assert (coordinator.get("g") is not None) is kept


class AnyOrder(RuleBasedStateMachine):
    """Members join, sync, beat, leave, commit and fall silent in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.party = Party()
        self.asked: list[list[JoinAnswer] | list[SyncAnswer]] = []
        self.highest = 0

    @property
    def group(self) -> Group:
        """The group under test."""
        return self.party.group

    def pick(self, data: st.DataObject) -> Member:
        """Choose a member."""
        return self.group.members[data.draw(st.sampled_from(sorted(self.group.members)))]

    @rule(known=st.booleans(), instance=st.sampled_from([None, None, "i", "j"]))
    def enter(self, known: bool, instance: str | None) -> None:
        """Somebody new comes, or a static member comes back."""
        self.asked.append(self.party.join(must_be_known=known, instance=instance))

    @precondition(lambda self: self.group.invited)
    @rule()
    def accept(self) -> None:
        """Somebody joins with the id that it was given."""
        self.asked.append(self.party.join(next(iter(self.group.invited))))

    @precondition(lambda self: self.group.members)
    @rule(data=st.data(), protocol=st.sampled_from([b"topics", b"others"]))
    def join_again(self, data: st.DataObject, protocol: bytes) -> None:
        """A member joins again, perhaps with other topics."""
        member = self.pick(data)
        protocols = (("range", protocol),)
        self.asked.append(self.party.join(member.id, instance=member.instance, protocols=protocols))

    @precondition(lambda self: self.group.members)
    @rule(data=st.data())
    def sync(self, data: st.DataObject) -> None:
        """A member asks for its assignment."""
        self.asked.append(self.party.sync(self.pick(data).id, self.group.generation))

    @precondition(lambda self: self.group.members)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        """A member says that it is alive."""
        member = self.pick(data)
        self.group.heartbeat(member.id, member.instance, self.group.generation, self.party.now)

    @precondition(lambda self: self.group.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A member leaves."""
        self.group.leave(self.pick(data).id, None, self.party.now)

    @rule(seconds=st.sampled_from([0.5, 5.0, 11.0, 61.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.party.wait(seconds)

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        """Each request has at most one answer."""
        assert all(len(answers) <= 1 for answers in self.asked)

    @invariant()
    def who_waits_can_be_helped(self) -> None:
        """Every request without an answer belongs to a member that waits for it."""
        waiting = sum(bool(m.joining) + bool(m.syncing) for m in self.group.members.values())
        assert sum(not answers for answers in self.asked) == waiting

    @invariant()
    def states_mean_what_they_say(self) -> None:
        """An empty group is empty, a stable one waits for nobody, and a leader is a member."""
        group = self.group
        assert (group.state is State.EMPTY) <= (not group.members)
        if group.state is State.STABLE:
            assert not any(m.joining or m.syncing for m in group.members.values())
        if group.state in {State.STABLE, State.COMPLETING}:
            assert group.leader in group.members
        if group.state is State.COMPLETING:
            assert not any(m.joining for m in group.members.values())

    @invariant()
    def generations_only_grow(self) -> None:
        """No two generations have the same number."""
        assert self.group.generation >= self.highest
        self.highest = self.group.generation

    def teardown(self) -> None:
        """In the end everybody falls silent, and nobody is left waiting."""
        for _ in range(200):
            self.party.wait(61.0)
        assert not self.group.members
        assert all(len(answers) == 1 for answers in self.asked)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
