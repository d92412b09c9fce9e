"""What the benchmark of the page puts on the bus, and which pages it asks for."""

import pytest

from ops.bench.town import NAMES, READS, Town, addresses


@pytest.mark.parametrize(
    ("count", "contracts", "dead", "groups"),
    [
        pytest.param(5000, 1000, 100, 2000, id="the whole"),
        pytest.param(50, 10, 1, 20, id="a quick run"),
    ],
)
def test_there_is_what_the_count_asks_for(
    count: int, contracts: int, dead: int, groups: int
) -> None:
    town = Town(count)
    every = [*town.topics, *town.dead]
    assert len(every) == len(set(every)) == count
    assert set(town.contracts) <= set(town.topics)
    positions = dict(town.positions())
    assert (len(town.contracts), len(town.dead), len(positions)) == (contracts, dead, groups)
    assert all(len({topic for topic, _ in one}) == READS for one in positions.values())
    assert all({topic for topic, _ in one} <= set(town.topics) for one in positions.values())


def test_one_group_in_ten_is_late() -> None:
    behind = [group for group, one in Town(5000).positions() if not any(one.values())]
    assert len(behind) == 200


def test_the_same_pages_are_asked_for_whatever_the_size() -> None:
    assert tuple(page.name for page in addresses(Town(5000))) == NAMES
    assert len(set(NAMES)) == len(NAMES)
