"""Where a group is to read from again: the plan is pure, what it rests on is asked for before."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from bus.admin import Admin
from bus.errors import Conflict, InvalidSettings, NotFound, nearest
from bus.kafka import Inquiry, Place
from bus.kafka.groups import EMPTY, Described, Position, described, listed, positions
from bus.kafka.partitions import bounds, offsets_at
from bus.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to go; one of these is given.

    Args:
        time: to the first event that was appended then or later; to the end if there is none.
        offset: to this offset, or to the nearest that the log holds.
        start: to the first event that there is.
        end: behind the last event.
    """

    time: datetime | None = None
    offset: int | None = None
    start: bool = False
    end: bool = False

    def of(self, first: int, end: int, at_time: int | None) -> int:
        """Return the offset to go to in a partition.

        Args:
            first: its first offset.
            end: its end offset.
            at_time: the first offset at or after the time; None or -1 if there is none.
        """
        if self.time is not None:
            wanted = end if at_time is None or at_time < 0 else at_time
        elif self.offset is not None:
            wanted = self.offset
        else:
            wanted = first if self.start else end
        return min(max(wanted, first), end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What becomes of a group's position in one partition.

    Args:
        topic: the topic.
        partition: its partition.
        before: where the group is; None if it never committed a position there.
        after: where it goes on.
        again: events that it reads once more.
        skipped: events that it will not read.
        metadata: what stands beside the position, and stays there.
    """

    topic: str
    partition: int
    before: int | None
    after: int
    again: int
    skipped: int
    metadata: str = ""


def move(place: Place, at: Position | None, to: int, first: int) -> Move:
    """Return what becomes of a position.

    Args:
        place: topic and partition.
        at: where the group is; None if it never committed a position there.
        to: where it goes.
        first: the first offset that the log holds, which its reader would begin at.
    """
    reading = max(at.offset, first) if at else first
    return Move(
        topic=place[0],
        partition=place[1],
        before=at.offset if at else None,
        after=to,
        again=max(reading - to, 0) if at else 0,
        skipped=max(to - reading, 0),
        metadata=at.metadata if at else "",
    )


async def plan(
    kafka: KafkaSettings, group: str, target: Target, topics: Collection[str] = ()
) -> list[Move]:
    """Return what a seek would do, in the order of topics and partitions.

    Args:
        kafka: how to reach the engine.
        group: whose positions; a new one may be given its first.
        target: where to go.
        topics: of which topics; of all that it has positions on if none.

    Raises:
        Conflict: the group has members, which would not notice and write over it.
        NotFound: there is no such group, or no such topic.
        BusUnavailable: no broker answers, or not for all partitions.
        InvalidSettings: the group has no name.
    """
    if not group:
        raise InvalidSettings("a group has a name", where="group", remedy="see `stadtbus group ls`")
    async with Admin(kafka) as admin, Inquiry(kafka, client_id="stadtbus-seek") as inquiry:
        layout = await admin.layout()
        inquiry.begin(layout.brokers)
        there = await listed(inquiry)
        mine = {group: there[group]} if group in there else {}
        at = (await positions(inquiry, mine)).get(group, {})
        _refuse_members(group, (await described(inquiry, mine)).get(group))
        if not topics and not at:
            raise _nobody(kafka, group, sorted(there))
        wanted = set(topics) or {topic for topic, _ in at}
        for topic in set(topics) - {name for name, _ in layout.leaders}:
            await admin.see(topic)  # says whether it is hidden or not there
        leaders = {place: one for place, one in layout.leaders.items() if place[0] in wanted}
        found = await bounds(inquiry, leaders)
        for topic, partition in leaders.keys() - found:
            raise Conflict(
                "nobody leads this partition now, so its bounds are not known",
                where=f"{topic}-{partition}",
                remedy="see which brokers run, and seek once all of them do",
            )
        times: Mapping[Place, int] = {}
        if target.time is not None:
            times = await offsets_at(
                inquiry, leaders, max(round(target.time.timestamp() * 1000), 0)
            )
    return [
        move(place, at.get(place), target.of(*found[place], times.get(place)), found[place][0])
        for place in sorted(found)
    ]


async def carry_out(kafka: KafkaSettings, group: str, moves: Collection[Move]) -> None:
    """Move a group's positions.

    Raises:
        Conflict: the group has members by now.
        NotAuthorised: this user may not move them.
        BusUnavailable: its coordinator cannot be reached.
    """
    async with Admin(kafka) as admin:
        await admin.set_positions(
            group, {(one.topic, one.partition): (one.after, one.metadata) for one in moves}
        )


def _refuse_members(group: str, found: Described | None) -> None:
    if found is not None and found.members:
        members = "1 member" if found.members == 1 else f"{found.members} members"
        raise Conflict(
            f"the group has {members}, which would not notice and write over it",
            where=group,
            remedy="stop its subscribers first",
        )
    if found is not None and found.state not in (EMPTY, "dead"):
        raise Conflict(
            f"the group is {found.state}, so it has members", where=group,
            remedy="stop its subscribers first",
        )  # fmt: skip


def _nobody(kafka: KafkaSettings, group: str, known: list[str]) -> NotFound:
    return NotFound(
        f'the group "{group}" has no position anywhere',
        where=kafka.bootstrap,
        remedy=(nearest(group, known) if known and group not in known else "")
        or "name the topic with --topic to give it its first positions",
    )
