"""What members of groups may hold of the broker's memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker.groups.coordinator import Coordinator
from bus.broker.groups.messages import Join, JoinAnswer, Sync, SyncAnswer
from bus.broker.groups.room import MOST_SAID, Room

MIB = 2**20
FULL, FINE = ErrorCode.group_max_size_reached, ErrorCode.none


class Party:
    """A coordinator, and members who say so many bytes."""

    def __init__(self, room: int) -> None:
        self.coordinator, self.now = Coordinator(room), 0.0

    def join(self, group: str, size: int, user: str = "User:a", **more: Any) -> JoinAnswer | None:
        """Join a group; nothing is returned while the answer is not there."""
        answers: list[JoinAnswer] = []
        join = Join(
            member_id="",
            session=10.0,
            rebalance=10.0,
            protocol_type="consumer",
            protocols=(("range", bytes(size)),),
            principal=user,
            **more,
        )
        self.coordinator.join(group, join, self.now, answers.append)
        return answers[0] if answers else None

    def error(self, group: str, size: int, user: str = "User:a") -> ErrorCode:
        """Join a group; return what is said against it."""
        answer = self.join(group, size, user)
        return FINE if answer is None else answer.error


def test_one_member_says_no_more_than_what_kafka_could_keep() -> None:
    party = Party(100 * MIB)
    assert party.error("small", MIB // 2) is FINE
    assert party.error("large", MOST_SAID) is FULL


def test_members_of_one_user_take_a_quarter_and_leave_others_theirs() -> None:
    party = Party(4 * MIB)
    assert [party.error(f"g{n}", MIB // 2) for n in range(2)] == [FINE, FULL]
    assert party.error("of another", MIB // 2, "User:b") is FINE


def test_all_together_take_no_more_than_there_is() -> None:
    party = Party(4 * MIB)
    users = [f"User:{n}" for n in range(5)]
    said = [party.error(user, MIB - 10_000, user) for user in users]
    assert said == [FINE] * 4 + [FULL]


def test_what_members_held_that_have_gone_is_there_again() -> None:
    party = Party(4 * MIB)
    assert [party.error("first", MIB - 10_000), party.error("second", MIB // 2)] == [FINE, FULL]
    party.now = 11.0
    party.coordinator.expire(party.now)
    assert party.error("second", MIB // 2) is FINE


def test_groups_and_ids_that_were_only_asked_for_count_as_well() -> None:
    party = Party(MIB)
    wanted = ErrorCode.member_id_required
    said = []
    for number in range(200):
        party.now = float(number) / 100
        answer = party.join(f"g{number}", 0, must_be_known=True)
        assert answer is not None
        said.append(answer.error)
    assert (said[0], said[-1]) == (wanted, FULL)


@pytest.mark.parametrize(("size", "error"), [(1000, FINE), (MOST_SAID + 1, FULL)])
def test_what_a_leader_assigns_counts(size: int, error: ErrorCode) -> None:
    party = Party(100 * MIB)
    joined = party.join("group", 10)
    assert joined is not None
    answers: list[SyncAnswer] = []
    sync = Sync(
        member_id=joined.member_id,
        generation=joined.generation,
        assignments=((joined.member_id, bytes(size)),),
        principal="User:a",
    )
    party.coordinator.sync("group", sync, 0.0, answers.append)
    assert [answer.error for answer in answers] == [error]


def test_all_is_not_weighed_again_and_again() -> None:
    room = Room(400)
    weighed: list[int] = []

    def looked() -> Iterator[tuple[str, int]]:
        weighed.append(1)
        yield "u", 100

    assert room.take("u", 60, looked(), 0.0)
    assert not room.take("u", 60, looked(), 0.0)
    assert len(weighed) == 1
    assert not room.take("u", 60, looked(), 0.5)
    assert len(weighed) == 1
    assert not room.take("u", 60, looked(), 1.5)
    assert len(weighed) == 2
