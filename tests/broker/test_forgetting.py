"""Which positions are forgotten, when, and what a restart changes about it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.broker.groups.forgetting import Forgetting
from bus.broker.groups.messages import Join, Sync
from bus.broker.groups.shell import Groups
from bus.broker.storage.database import create
from bus.broker.storage.positions import Position
from bus.broker.storage.store import Store
from tests.engines.party import subscription

WEEK = 604_800_000
DAY = 86_400_000
HERE = Position(7, -1, "")
A, B = ("a", 0), ("b", 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    create(tmp_path / "broker.db")
    made = Store(tmp_path / "broker.db")
    yield made
    made.close()


class Node:
    """What of a broker has to do with positions, on a clock that stands."""

    def __init__(self, store: Store, now: int = 0) -> None:
        self.store, self.now = store, now
        self.groups = Groups(lambda: self.now / 1000)
        self.positions: dict[str, dict[tuple[str, int], Position]] = {}
        for group, topic, index, position in store.positions.all():
            self.positions.setdefault(group, {})[topic, index] = position
        self.groups.know(self.positions)
        self.forgetting = Forgetting(
            self.groups, self.positions, self.change, retention=WEEK, clock=lambda: self.now
        )
        self.forgetting._emptied = store.positions.groups()
        for name in self.positions:
            self.forgetting._look(name, 0)

    async def change(
        self, run: Callable[[Store], Any], publish: Callable[[Any], None] | None = None
    ) -> Any:
        """Write at once."""
        self.store.begin()
        made = run(self.store)
        self.store.commit()
        if publish is not None:
            publish(made)
        return made

    def commit(self, *keys: tuple[str, int], expires: int | None = None) -> None:
        """Commit positions of the group g."""
        positions = dict.fromkeys(keys, HERE)
        self.store.positions.write("g", positions, self.now, expires)
        self.positions.setdefault("g", {}).update(positions)
        self.groups.know(["g"])
        self.forgetting.committed("g", expires)

    def join(self, *topics: str) -> None:
        """Have somebody join the group g who wants these topics; alone it leads at once."""
        metadata = subscription(*topics)
        join = Join(
            member_id="",
            instance="one",
            client_id="c",
            client_host="h",
            protocol_type="consumer",
            protocols=(("range", metadata),),
            session=6.0,
            rebalance=6.0,
            must_be_known=False,
            may_skip=False,
        )
        answers: list[Any] = []
        self.groups.join("g", join, self.now / 1000, answers.append)
        sync = Sync(
            member_id=answers[0].member_id,
            instance="one",
            generation=answers[0].generation,
            protocol_type="consumer",
            protocol="range",
            assignments=((answers[0].member_id, b""),),
        )
        self.groups.sync("g", sync, self.now / 1000, answers.append)

    async def at(self, now: int) -> set[tuple[str, int]]:
        """Let time pass; return what positions are left."""
        self.now = now
        await self.forgetting._watch()
        await self.forgetting._forget()
        stored = {(topic, index) for _, topic, index, _ in self.store.positions.all()}
        assert stored == set(self.positions.get("g", {}))
        return stored


async def test_without_members_a_week_after_the_commit(store: Store) -> None:
    node = Node(store)
    node.commit(A)
    node.now = DAY
    node.commit(B)
    assert await node.at(WEEK - 1) == {A, B}
    assert await node.at(WEEK) == {B}
    assert node.groups.get("g") is not None
    assert await node.at(WEEK + DAY) == set()
    assert node.groups.get("g") is None


async def test_at_the_time_that_came_with_it(store: Store) -> None:
    node = Node(store)
    node.commit(A, expires=50)
    node.commit(B)
    assert await node.at(49) == {A, B}
    assert await node.at(50) == {B}


async def test_a_week_after_the_last_member_went(store: Store) -> None:
    node = Node(store)
    node.commit(A)
    node.join("a")
    assert await node.at(2 * WEEK) == {A}
    node.groups.leave("g", "", "one", node.now / 1000)
    assert await node.at(2 * WEEK + DAY) == {A}
    again = Node(store, 2 * WEEK + 2 * DAY)  # the broker was restarted
    assert await again.at(3 * WEEK + DAY - 1) == {A}
    assert await again.at(3 * WEEK + DAY) == set()


async def test_members_that_a_crash_took_count_from_the_restart(store: Store) -> None:
    node = Node(store)
    node.commit(A)
    node.join("a")
    assert await node.at(2 * WEEK) == {A}
    again = Node(store, 2 * WEEK + DAY)
    assert await again.at(2 * WEEK + DAY) == {A}
    assert await again.at(3 * WEEK) == {A}
    assert await again.at(3 * WEEK + DAY) == set()


async def test_topics_that_members_want_are_kept(store: Store) -> None:
    node = Node(store)
    node.commit(A, B)
    node.join("a")
    assert await node.at(0) == {A, B}
    assert await node.at(WEEK) == {A}
    assert await node.at(3 * WEEK) == {A}


async def test_a_group_without_positions_goes_after_a_while(store: Store) -> None:
    node = Node(store)
    node.commit(A)
    assert await node.at(0) == {A}
    store.positions.drop("g", [A])  # with its topic
    del node.positions["g"][A]
    assert await node.at(1000) == set()
    assert node.groups.get("g") is not None
    await node.at(1000 + 600_000)
    assert node.groups.get("g") is None


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_group_of_the_same_name_that_comes_later_is_another(
    store: Store, restarted: bool
) -> None:
    node = Node(store)
    node.commit(A)
    node.join("a")
    assert await node.at(1) == {A}
    node.groups.leave("g", "", "one", node.now / 1000)
    assert await node.at(DAY) == {A}
    assert await node.at(DAY + WEEK) == set()
    assert store.positions.groups() == {}
    node.now = 3 * WEEK
    node.commit(A)
    if restarted:
        node = Node(store, node.now)
    assert await node.at(4 * WEEK - 1) == {A}
    assert await node.at(4 * WEEK) == set()


async def test_a_group_that_was_deleted_and_comes_again_is_another(store: Store) -> None:
    node = Node(store)
    node.commit(A)
    node.join("a")
    assert await node.at(1) == {A}
    node.groups.leave("g", "", "one", node.now / 1000)
    assert await node.at(DAY) == {A}
    store.positions.drop("g", None)  # as DeleteGroups does
    del node.positions["g"]
    node.forgetting.dropped("g")
    node.now = WEEK
    node.commit(A)
    assert await node.at(WEEK + DAY) == {A}
    assert await node.at(2 * WEEK) == set()
