"""Load through our own publisher and subscriber, and the account of what everybody saw."""

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bus.errors import BusUnavailable
from bus.event import Draft, Event, new_id
from bus.kafka import Place
from bus.publisher import Publisher
from bus.settings import Settings
from bus.subscriber import Subscriber
from ops.torture import stall
from ops.torture.judgement import Breach, Delivery, Hands, Promise

TOPIC = "address.building-changed.v1"
SYSTEM = "de.mun.110000000000.vermessung"
WITNESSES = "de.agency.statistik.witness"

KEYS = 24
"""Addresses, each with a clerk of its own who announces one change after the other."""

PACE = 0.3
"""Seconds between two announcements of a clerk at the most."""

BURST = 5
"""Changes that a clerk sometimes announces at once."""

MEMBERS = 2
"""Members of the witnesses' group, so that partitions can change hands."""

PARTITIONS = 3
"""Of the topic, as its contract says."""

STEADY = 10
"""Further receipts of every partition after which service is taken to go on."""

_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Account:
    """What everybody saw.

    Args:
        acknowledged: ids of events with a receipt, by key, in the order of their announcement.
        moments: when receipts came, by partition.
        partitions: where each key's events are.
        errors: what publishing raised instead.
        refused: how often, by key.
        deliveries: what reached the witnesses' handlers.
        seen: the ids of those.
        hands: which witness has which partition.
    """

    acknowledged: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    moments: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    partitions: dict[str, int] = field(default_factory=dict)
    errors: list[BusUnavailable] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    deliveries: list[Delivery] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    hands: Hands = field(default_factory=Hands)

    @property
    def ids(self) -> set[str]:
        """The ids of all acknowledged events."""
        return {id_ for ids in self.acknowledged.values() for id_ in ids}

    def untaken(self, goal: Mapping[int, int]) -> list[str]:
        """Say which partitions have taken fewer events than they should."""
        return [
            f"partition {part} took {len(self.moments[part])} of {count} events"
            for part, count in goal.items()
            if len(self.moments[part]) < count
        ]

    def undelivered(self, ids: AbstractSet[str]) -> list[str]:
        """Say which of these acknowledged events have reached no handler, by partition."""
        if ids <= self.seen:
            return []
        missing: defaultdict[int, list[str]] = defaultdict(list)
        for key, acknowledged in self.acknowledged.items():
            missing[self.partitions[key]] += [
                f"{key} {id_}" for id_ in acknowledged if id_ in ids and id_ not in self.seen
            ]
        return [
            f"partition {part}: {len(events)} acknowledged events have reached no handler: "
            f"{stall.named(events)}"
            for part, events in sorted(missing.items())
            if events
        ]


class Clerk:
    """Announces the changes of one address, one after the other or a few at once."""

    def __init__(self, number: int, account: Account, choose: random.Random) -> None:
        self.key, self._account, self._choose = f"B-{number:04}", account, choose
        self._count = 0

    async def work(self, publisher: Publisher, stop: asyncio.Event) -> None:
        """Announce changes until `stop` is set; what has begun is brought to its end."""
        while not stop.is_set():
            burst = self._choose.choice((1, 1, 1, BURST))
            await self._announce(publisher, [self.draft() for _ in range(burst)])
            await asyncio.sleep(self._choose.uniform(0, PACE))

    async def _announce(self, publisher: Publisher, drafts: list[Draft]) -> None:
        while True:
            try:
                receipts = await publisher.publish_many(TOPIC, drafts)
            except BusUnavailable as error:
                self._account.errors.append(error)
                self._account.refused[self.key] += 1
                continue  # the same ids again; it has waited long enough itself
            break
        now = asyncio.get_running_loop().time()
        for receipt in receipts:
            self._account.acknowledged[self.key].append(receipt.id)
            self._account.moments[receipt.partition].append(now)
            self._account.partitions[self.key] = receipt.partition

    def draft(self) -> Draft:
        """Return the next change of the address, under an id of its own."""
        self._count += 1
        # Of two events at the same time the later one counts; here each has a time of its own.
        time = _DAY + timedelta(seconds=self._count)
        return Draft(id=new_id(), data=_change(self.key, self._count), time=time)


class Witness(Subscriber):
    """A subscriber without an inbox that notes whatever reaches its handler."""

    def __init__(self, settings: Settings, account: Account) -> None:
        super().__init__(WITNESSES, [TOPIC], settings)
        self._account = account
        self._tenure: dict[Place, int] = {}
        self._from: dict[Place, int] = {}
        self.begun = False

    def begin(self, place: Place, position: int) -> None:
        """Note that a partition came into these hands."""
        self.begun = True
        self._tenure[place] = self._account.hands.take(place, self)
        self._from[place] = position
        super().begin(place, position)

    async def revoked(self, places: frozenset[Place]) -> None:
        """Note which partitions are given up without their position being stored."""
        workers = {place: worker for place, worker in self._workers.items() if place in places}
        await super().revoked(places)
        for place, worker in workers.items():
            if worker.position not in {worker.committed, self._from[place]}:
                self._account.hands.lose(place)

    async def note(self, event: Event) -> None:
        """Note that an event reached the handler."""
        assert event.position is not None
        tenure = self._tenure[event.position.topic, event.position.partition]
        self._account.deliveries.append(Delivery(tenure, event.key, event.id))
        self._account.seen.add(event.id)


class Witnesses:
    """The members of the witnesses' group, one of which is now and then replaced.

    Args:
        settings: where the bus is.
        account: notes what they see.
    """

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings, self._account = settings, account
        self._members: deque[asyncio.Task[None]] = deque()

    def join(self) -> None:
        """Let another member join."""
        self._members.append(asyncio.create_task(self._witness()))

    async def replace(self) -> None:
        """Break off the oldest member in whatever it does, and let another one join."""
        oldest = self._members.popleft()
        oldest.cancel()
        self.join()
        await asyncio.wait([oldest])

    async def leave(self) -> None:
        """Break off all members."""
        for member in self._members:
            member.cancel()
        await asyncio.gather(*self._members, return_exceptions=True)

    def check(self) -> None:
        """Raise what ended a member."""
        for member in self._members:
            if member.done():
                member.result()

    async def _witness(self) -> None:
        while True:
            witness = Witness(self._settings, self._account)
            try:
                async with witness:
                    await witness.run(witness.note)
            except BusUnavailable:
                if witness.begun:  # it has to wait for the engine itself
                    raise
                # It may say so at its start; its supervisor starts it anew.


@dataclass(slots=True)
class Load:
    """Clerks and witnesses at work."""

    account: Account
    witnesses: Witnesses
    _stop: asyncio.Event
    _clerks: list["asyncio.Task[None]"]

    def check(self) -> None:
        """Raise what ended somebody who should be at work."""
        for clerk in self._clerks:
            if clerk.done():
                clerk.result()
        self.witnesses.check()

    async def served(self) -> None:
        """Return once every partition has taken `STEADY` further events, and handlers have them.

        Raises:
            Stalled: one does not in time; it says which, or which events.
        """
        account = self.account
        goal = {part: len(account.moments[part]) + STEADY for part in range(PARTITIONS)}
        await stall.until_there(lambda: account.untaken(goal), self.check)
        ids = account.ids
        await stall.until_there(lambda: account.undelivered(ids), self.check)

    async def refused(self) -> None:
        """Return once every clerk was refused something twice from now on.

        The second time, no call is among them that had begun before.

        Raises:
            Stalled: one was not in time.
        """
        refused = self.account.refused
        goal = {key: refused[key] + 2 for key in self.account.acknowledged}

        def missing() -> list[str]:
            return [f"{key} was refused nothing" for key in goal if refused[key] < goal[key]]

        await stall.until_there(missing, self.check)

    async def end(self) -> list[Breach]:
        """Let clerks finish what they have begun; witnesses go on reading.

        Returns:
            Those clerks' that did not come to an end.

        Raises:
            BusError: one was refused what cannot be tried again.
        """
        self._stop.set()
        await asyncio.wait(self._clerks, timeout=stall.SECONDS)
        endless = [clerk for clerk in self._clerks if not clerk.done()]
        for clerk in endless:
            clerk.cancel()
            self._clerks.remove(clerk)
        await asyncio.gather(*endless, return_exceptions=True)
        self.check()
        return [
            Breach(promise=Promise.UNANSWERED, place="publisher", what=clerk.get_name())
            for clerk in endless
        ]


@asynccontextmanager
async def load(settings: Settings, seed: int, *, deadline: float = 30.0) -> AsyncIterator[Load]:
    """Publish and read for the time of a block.

    Args:
        settings: where the bus is.
        seed: settles what clerks do.
        deadline: seconds that a call of the publisher tries.
    """
    choose = random.Random(seed)
    account, stop = Account(), asyncio.Event()
    witnesses = Witnesses(settings, account)
    async with Publisher(SYSTEM, settings, deadline=deadline) as publisher:
        clerks = [Clerk(n, account, random.Random(choose.randrange(2**31))) for n in range(KEYS)]
        writing = [
            asyncio.create_task(clerk.work(publisher, stop), name=clerk.key) for clerk in clerks
        ]
        for _ in range(MEMBERS):
            witnesses.join()
        try:
            yield Load(account, witnesses, stop, writing)
        finally:
            for task in writing:
                task.cancel()
            await asyncio.gather(*writing, return_exceptions=True)
            await witnesses.leave()


def _change(key: str, number: int) -> dict[str, Any]:
    return {
        "address_id": key,
        "municipality": "110000000000",
        "change": "RENUMBERED",
        "street": "Unter den Linden",
        "number": str(number),
        "suffix": None,
        "postcode": "10117",
        "place": "Mitte",
        "cause": "RENUMBERING",
        "valid_from": date(2026, 1, 1),
        "basis": "STATED",
        "corrects": None,
    }
