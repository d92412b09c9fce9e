"""Which member of a group gets which partition."""

from collections.abc import Mapping, Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from bus.kafka.assignor import assignor

COMPANIONS = {"redrive.readings": "readings", "redrive.addresses": "addresses"}

Shares = dict[str, dict[str, list[int]]]


class Cluster(ClusterMetadata):  # type: ignore[misc]
    """Topics with their numbers of partitions."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        super().__init__()
        self._counts = counts

    def topics(self, exclude_internal_topics: bool = True) -> set[str]:
        return set(self._counts)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._counts[topic])) if topic in self._counts else None


class Group:
    """Members that a coordinator would bring together again and again."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._cluster = Cluster(counts)
        self._members: dict[str, tuple[type[StickyPartitionAssignor], Sequence[str]]] = {}

    def join(self, name: str, topics: Sequence[str]) -> None:
        self._members[name] = (assignor(COMPANIONS), topics)

    def leave(self, name: str) -> None:
        del self._members[name]

    def settle(self) -> Shares:
        said: dict[str, ConsumerProtocolMemberMetadata] = {
            name: mind.metadata(topics) for name, (mind, topics) in self._members.items()
        }
        leader = next(iter(self._members.values()))[0]
        given = leader.assign(self._cluster, said)
        for name, (mind, _) in self._members.items():
            mind.on_assignment(given[name])
        return {name: dict(share.assignment) for name, share in given.items()}


def held(shares: Shares) -> list[TopicPartition]:
    return sorted(
        TopicPartition(topic, number)
        for share in shares.values()
        for topic, numbers in share.items()
        for number in numbers
    )


@pytest.mark.parametrize("members", [1, 2, 3, 4])
@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_each_has_a_part_of_what_counts_and_what_goes_with_it(
    members: int, partitions: int
) -> None:
    group = Group({"readings": partitions, "redrive.readings": partitions})
    shares: Shares = {}
    for number in range(members):
        group.join(f"m{number}", ["readings", "redrive.readings"])
        shares = group.settle()
    sizes = [len(share.get("readings", ())) for share in shares.values()]
    assert sum(sizes) == partitions
    assert max(sizes) - min(sizes) <= 1
    for share in shares.values():
        assert share.get("readings", []) == share.get("redrive.readings", [])


def test_who_stays_keeps_what_it_had() -> None:
    group = Group({"readings": 6, "redrive.readings": 6})
    before: Shares = {}
    for name in ("a", "b", "c"):
        group.join(name, ["readings", "redrive.readings"])
        before = group.settle()
    group.leave("c")
    after = group.settle()
    for name in ("a", "b"):
        assert set(before[name]["readings"]) <= set(after[name]["readings"])
    assert len(held(after)) == 12


def test_two_consumers_of_one_process_do_not_claim_each_others() -> None:
    first, second = assignor({}), assignor({})
    first.on_assignment(ConsumerProtocolMemberAssignment(0, [("readings", [0, 1])], b""))
    assert first.metadata(["readings"]).user_data
    assert not second.metadata(["readings"]).user_data


@pytest.mark.parametrize(
    ("counts", "subscriptions"),
    [
        # A companion with more partitions than what it accompanies.
        ({"readings": 2, "redrive.readings": 5}, {"a": ["readings", "redrive.readings"]}),
        # Nobody reads what it accompanies, or not who reads the companion.
        ({"readings": 2, "redrive.readings": 2}, {"a": ["redrive.readings"]}),
        (
            {"readings": 2, "redrive.readings": 2},
            {"a": ["readings"], "b": ["redrive.readings"]},
        ),
        # Members that read different topics.
        (
            {"readings": 3, "redrive.readings": 3, "addresses": 2, "redrive.addresses": 2},
            {
                "a": ["readings", "redrive.readings"],
                "b": ["addresses", "redrive.addresses"],
                "c": [*COMPANIONS, *COMPANIONS.values()],
            },
        ),
        # A topic that is not there.
        ({"readings": 2}, {"a": ["readings", "redrive.readings"]}),
    ],
)
def test_each_partition_has_one_reader_that_asked_for_it(
    counts: Mapping[str, int], subscriptions: Mapping[str, Sequence[str]]
) -> None:
    group = Group(counts)
    shares: Shares = {}
    for name, topics in subscriptions.items():
        group.join(name, topics)
        shares = group.settle()
    wanted = {topic for topics in subscriptions.values() for topic in topics} & counts.keys()
    assert held(shares) == sorted(
        TopicPartition(topic, number) for topic in wanted for number in range(counts[topic])
    )
    for name, share in shares.items():
        assert set(share) <= set(subscriptions[name])
