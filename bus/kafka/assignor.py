"""Which member of a group gets which partition: sticky, and what belongs together in one hand.

aiokafka's sticky assignor keeps what a member had in the class, so that all consumers of a process
claim each other's partitions: each consumer gets a class of its own here. And it counts partitions
only: where events of a topic can come once more on another one, one member could get all of the
first and the other all of the second, which is as good as nothing. So such a companion's partition
goes to whoever has the same partition of the topic that it accompanies.
"""

from collections import defaultdict
from collections.abc import Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)


def assignor(companions: Mapping[str, str]) -> type[StickyPartitionAssignor]:
    """Return the assignor of one consumer.

    Args:
        companions: topics that go with another one, each with the topic that it accompanies.
    """

    class Assignor(StickyPartitionAssignor):  # type: ignore[misc]
        """Remembers what this consumer had, and nobody else's."""

        @classmethod
        def assign(
            cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
        ) -> dict[str, ConsumerProtocolMemberAssignment]:
            leading = {name: _without(member, companions) for name, member in members.items()}
            led = super().assign(cluster, leading)
            shares = {name: dict(share.assignment) for name, share in led.items()}
            subscribers = defaultdict(list)
            for name in sorted(members):
                for topic in members[name].subscription:
                    subscribers[topic].append(name)
            for topic in companions.keys() & subscribers.keys():
                numbers = cluster.partitions_for_topic(topic) or ()
                shared = _accompany(companions[topic], numbers, shares, subscribers[topic])
                for name, partitions in shared.items():
                    shares[name][topic] = partitions
            return {
                name: ConsumerProtocolMemberAssignment(cls.version, sorted(share.items()), b"")
                for name, share in shares.items()
            }

        @classmethod
        def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
            cls.member_assignment = [
                partition
                for partition in assignment.partitions()
                if partition.topic not in companions
            ]

    return Assignor


def _without(
    member: ConsumerProtocolMemberMetadata, companions: Mapping[str, str]
) -> ConsumerProtocolMemberMetadata:
    topics = [topic for topic in member.subscription if topic not in companions]
    return ConsumerProtocolMemberMetadata(member.version, topics, member.user_data)


def _accompany(
    topic: str,
    numbers: "set[int] | tuple[int, ...]",
    shares: Mapping[str, Mapping[str, list[int]]],
    subscribers: list[str],
) -> dict[str, list[int]]:
    """Return who gets which of a companion's partitions, where a topic is shared like this."""
    holders = {number: name for name in subscribers for number in shares[name].get(topic, ())}
    given = defaultdict(list)
    for number in sorted(numbers):
        given[holders.get(number, subscribers[number % len(subscribers)])].append(number)
    return given
