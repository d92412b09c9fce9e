"""Who is struck: a leader that is there, waited for where there is none just now."""

import random
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from bus.errors import BusUnavailable
from ops.torture import nemesis
from ops.torture.nemesis import Layout, Nemesis
from ops.torture.rounds import Fault, Round, Target

ROUND = Round(fault=Fault.KILL, target=Target.LEADER)
WHOLE = Layout((2,), 0)


class Broker:
    """A broker that can be killed on paper."""

    def __init__(self, number: int) -> None:
        self.id, self.done = number, list[str]()

    def kill(self) -> None:
        self.done.append("kill")

    def start(self) -> None:
        self.done.append("start")


class Three:
    """A cluster on paper."""

    bootstrap = "nowhere"

    def __init__(self) -> None:
        self.brokers = tuple(map(Broker, (1, 2, 3)))

    async def ready(self) -> None:
        """It always is."""


def told(*layouts: Layout | BusUnavailable) -> Any:
    """Return what looks at a cluster, and sees one after the other; the last one for ever."""

    def seen() -> Iterator[Layout | BusUnavailable]:
        yield from layouts
        while True:
            yield layouts[-1]

    looks = seen()

    def look(_: str, __: Collection[str]) -> Layout:
        found = next(looks)
        if isinstance(found, BusUnavailable):
            raise found
        return found

    return look


async def served() -> None:
    """Service goes on."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nemesis, "PAUSE_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(nemesis, "WHOLE_SECONDS", 1.0)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="it is there"),
        pytest.param([Layout((), 0)], id="no partition is known yet"),
        pytest.param([Layout((-1,), 1)], id="nobody leads yet"),
        pytest.param([BusUnavailable("gone", where="nowhere")], id="nobody answers yet"),
    ],
)
async def test_a_leader_is_struck_once_there_is_one(before: list[Any]) -> None:
    cluster: Any = Three()
    struck = await Nemesis(cluster, ("t",), random.Random(1), told(*before, WHOLE)).strike(
        ROUND, served
    )
    assert (struck, cluster.brokers[1].done) == (2, ["kill", "start"])


@pytest.mark.parametrize(
    "always",
    [
        pytest.param(Layout((-1,), 0), id="nobody leads"),
        pytest.param(BusUnavailable("gone", where="nowhere"), id="nobody answers"),
    ],
)
async def test_nobody_is_struck_without_a_leader(
    always: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nemesis, "WHOLE_SECONDS", 0.05)
    cluster: Any = Three()
    with pytest.raises(TimeoutError, match="leaders were missing"):
        await Nemesis(cluster, ("t",), random.Random(1), told(always)).strike(ROUND, served)
    assert [broker.done for broker in cluster.brokers] == [[], [], []]
