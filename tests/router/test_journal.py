"""The journal as routers follow it: nobody learns of grants before their feeds are there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bus.errors import BusUnavailable
from bus.journal.chain import CHAIN, START, digest_of, encode
from bus.kafka import Fetched
from bus.router import journal
from bus.router.journal import Flowing, JournalFollower
from bus.trust.statements import ENTRY
from tests.router.town import TAX, TOPIC
from tests.trust.grants.parties import TERMS
from tests.trust.parties import CHAIN_ID, RINGELAI, Parties


class Written(Parties):
    """Parties whose statements stand on a topic, as whoever reads the journal finds it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.values = [(encode(START, CHAIN, {"id": CHAIN_ID}, at=0), 0)]
        self.begun()
        for member in (RINGELAI, TAX):
            assert self.admit(member) is None

    def append(self, body: Mapping[str, Any], *, after: timedelta = timedelta(minutes=1)) -> int:
        number = super().append(body, after=after)
        last, _ = self.values[-1]
        self.values.append((encode(digest_of(last), ENTRY, body, at=self.at), self.at))
        return number

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        if self.is_away:
            raise BusUnavailable("it is away", where=topic)
        return {0: (0, len(self.values))}

    async def read(
        self, topic: str, partition: int, offset: int, *, max_wait: float
    ) -> list[Fetched]:
        return [
            Fetched(topic, partition, number, at, None, value, [])
            for number, (value, at) in enumerate(self.values)
            if number >= offset
        ]

    def grant(self) -> str:
        """Have the tax office ask, and the town approve; return the request's digest."""
        times = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}
        terms = {**TERMS, "owner": {"member": RINGELAI}, "recipient": TAX, **times}
        asked = self.compose("grant-asked", terms, self.key(TAX))
        self.append(asked.body())
        says = {"grant": asked.digest.hex()}
        assert self.say("grant-approved", says, self.key(RINGELAI)) is None
        return asked.digest.hex()

    def revoke(self, grant: str) -> None:
        """Have the town take a grant back."""
        says = {"grant": grant, "why": "Nicht mehr nötig."}
        assert self.say("grant-revoked", says, self.key(RINGELAI)) is None


class Prepared:
    """Makes feeds, unless it cannot."""

    def __init__(self) -> None:
        self.asked: list[Flowing] = []
        self.fails = False

    async def __call__(self, flowing: Flowing) -> None:
        if self.fails:
            raise BusUnavailable("no feed can be made", where="feed")
        self.asked.append(flowing)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each look be a reading of its own."""
    monkeypatch.setattr(journal, "FRESH", -1.0)
    monkeypatch.setattr(journal, "LOOKING", 3600.0)


@pytest.mark.usefixtures("at_once")
async def test_each_change_is_another_view() -> None:
    written, prepare, told = Written(), Prepared(), list[int]()
    follower = JournalFollower(written, prepare)
    follower.tell(lambda: told.append(len(told)))
    async with follower:
        first = await follower.view()
        same = await follower.view()
        assert same.version == first.version
        assert same.at > first.at
        assert first.flowing == {}
        grant = written.grant()
        second = await follower.view()
        assert second.version > first.version
        assert second.flowing == {TOPIC: {bytes.fromhex(grant[:32]): TAX}}
        assert second.state.number == len(written.values)
        written.revoke(grant)
        third = await follower.view()
        assert third.flowing == {}
    assert prepare.asked == [{}, second.flowing, {}]
    assert len(told) == 3


@pytest.mark.usefixtures("at_once")
async def test_nobody_learns_of_a_grant_before_its_feed_is_there() -> None:
    written, prepare = Written(), Prepared()
    async with JournalFollower(written, prepare) as follower:
        before = await follower.view()
        written.grant()
        prepare.fails = True
        with pytest.raises(BusUnavailable, match="no feed can be made"):
            await follower.view()
        prepare.fails = False
        after = await follower.view()
    assert (before.flowing, len(after.flowing)) == ({}, 1)


@pytest.mark.usefixtures("at_once")
async def test_what_was_read_is_not_taken_for_news_while_the_engine_is_away() -> None:
    written = Written()
    async with JournalFollower(written, Prepared()) as follower:
        await follower.view()
        written.is_away = True
        with pytest.raises(BusUnavailable):
            await follower.view()


async def test_a_reading_of_a_moment_ago_will_do() -> None:
    written = Written()
    async with JournalFollower(written, Prepared()) as follower:
        first = await follower.view()
        written.is_away = True
        assert await follower.view() is first
    assert first.valid_until == first.at + journal.VALID
