"""Many consumer groups at once: who they are, what they read, where they are."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import errors as foreign
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from bus.kafka.inquiry import Inquiry, Unknown, breathe, parts
from bus.kafka.messages import DescribeGroups, ListGroups, OffsetFetch
from bus.kafka.records import Place

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Groups in one request."""

EMPTY = "empty"
"""The state of a group without members."""


class Position(NamedTuple):
    """A committed position, and what was written beside it."""

    offset: int
    metadata: str


class Listed(NamedTuple):
    """A group as its coordinator lists it; the state is empty where it is too old to say."""

    coordinator: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A group's state, how many members it has, and the partitions that they were given."""

    state: str
    members: int
    reads: frozenset[Place]


async def listed(inquiry: Inquiry) -> dict[str, Listed]:
    """Return every group that the user may see; those of brokers that do not answer are missing.

    Raises:
        BusUnavailable: no broker answers.
    """
    found: dict[str, Listed] = {}
    for broker in inquiry.brokers:
        try:
            answer = await inquiry.ask(broker, ListGroups())
        except Unknown:
            answer = await inquiry.ask(broker, ListGroupsRequest())
        if answer is not None and foreign.for_code(answer.error_code) is foreign.NoError:
            for one in answer.groups:
                found[one[0]] = Listed(broker, _word(one[2]) if len(one) > 3 else "")
        await breathe()
    return found


async def described(inquiry: Inquiry, groups: Mapping[str, Listed]) -> dict[str, Described]:
    """Return what groups do; a group without members is not asked about.

    Raises:
        BusUnavailable: no broker answers.
    """
    found = {
        group: Described(state=EMPTY, members=0, reads=frozenset())
        for group, one in groups.items()
        if one.state == EMPTY
    }

    async def of(coordinator: int, names: Collection[str]) -> None:
        for part in parts(names, AT_ONCE):
            answer = await inquiry.ask(coordinator, DescribeGroups(part))
            for one in answer.groups if answer is not None else ():
                found[one[1]] = _description(groups[one[1]], one)
            await breathe()

    await _each_coordinator({g: one for g, one in groups.items() if g not in found}, of)
    return found


def _description(listed: Listed, answer: Any) -> Described:
    code, _, state, _, _, members = answer[:6]
    if foreign.for_code(code) is not foreign.NoError or _word(state) == "dead":
        # A group of the newer protocol (KIP-848) is none to this request, and listed all the same.
        return Described(state=listed.state or "dead", members=0, reads=frozenset())
    reads = frozenset(place for member in members for place in _assigned(member[4]))
    return Described(state=_word(state), members=len(members), reads=reads)


def _assigned(assignment: bytes | None) -> Iterator[Place]:
    """Yield what a member was given; who leads the group may have written anything."""
    try:
        given = ConsumerProtocolMemberAssignment.decode(assignment or b"")
        yield from [(topic, partition) for topic, parts in given.assignment for partition in parts]
    except Exception as error:  # bytes of a stranger
        log.debug("an assignment cannot be read: %r", error)


async def positions(
    inquiry: Inquiry, groups: Mapping[str, Listed]
) -> dict[str, dict[Place, Position]]:
    """Return the committed positions of groups; of those that nobody answers for, none.

    Raises:
        BusUnavailable: no broker answers.
    """
    found: dict[str, dict[Place, Position]] = {}

    async def of(coordinator: int, names: Collection[str]) -> None:
        for part in parts(names, AT_ONCE):
            try:
                answer = await inquiry.ask(coordinator, OffsetFetch(part))
                told = answer.groups if answer is not None else ()
                found.update((one[0], _committed(one[1])) for one in told if not one[2])
            except Unknown:  # before Kafka 3.0
                for group in part:
                    one = await inquiry.ask(coordinator, OffsetFetchRequest(group, None))
                    if one is not None:
                        found[group] = _committed(one.topics)
            await breathe()

    await _each_coordinator(groups, of)
    return found


def _committed(topics: Any) -> dict[Place, Position]:
    """Return positions as both versions of the answer tell them.

    librdkafka writes the byte that ends a text of C along with it.
    """
    return {
        (topic[0], part[0]): Position(part[1], _until_nul(part[-3 if len(part) > 4 else -2]))
        for topic in topics
        for part in topic[1]
        if part[1] >= 0
    }


def _until_nul(text: str | None) -> str:
    return (text or "").partition("\0")[0]


async def _each_coordinator(
    groups: Mapping[str, Listed], of: Callable[[int, Collection[str]], Any]
) -> None:
    by_coordinator: dict[int, list[str]] = {}
    for group, one in groups.items():
        by_coordinator.setdefault(one.coordinator, []).append(group)
    await asyncio.gather(*(of(broker, names) for broker, names in by_coordinator.items()))


def _word(state: str | None) -> str:
    """Return a state as we write it: ``PreparingRebalance`` is ``preparing-rebalance``."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in state or "").lstrip("-")
