"""Grants in a file that pages look things up in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.errors import StorageUnusable
from bus.portal.trust.archive import PHASES, Archive, Wanted
from bus.portal.trust.following import Following
from bus.trust.ledger import Ledger
from tests.portal.granting import AUTHORITY, OFFICE, PERLESREUT, RINGELAI, Journal, town

LATER = {"from": "2098-01-01T00:00:00Z"}
PAST = {"to": "2026-07-01T06:30:00Z"}
UNDER = {"owner": {"authority": AUTHORITY, "ars": "092720140"}}


class Filled:
    """An archive with a grant in each phase, by the phase's name."""

    def __init__(self, file: Path) -> None:
        self.archive, self.journal = Archive(file), town()
        self.archive.open()
        say, office = self.journal.say, self.journal.key(OFFICE)
        city, names = self.journal.key(RINGELAI), dict[str, str]()
        names["requested"] = self.journal.asks()
        names["pending"] = self.journal.grants(**LATER)
        names["live"] = self.journal.grants()
        names["expired"] = self.journal.grants(**PAST)
        for phase, kind, signer, approved in (
            ("refused", "grant-refused", city, False),
            ("withdrawn", "grant-withdrawn", office, False),
            ("revoked", "grant-revoked", city, True),
            ("ended", "grant-ended", office, True),
        ):
            name = self.journal.grants() if approved else self.journal.asks()
            assert say(kind, {"grant": name}, signer) is None
            names[phase] = name
        names["under"] = self.journal.grants(**UNDER)
        self.names, self.now = names, self.journal.at + 3_600_000
        self.replay(self.journal)

    def replay(self, journal: Journal) -> None:
        """Take all steps that the journal has."""
        ledger = Ledger(self.archive.take)
        for entry in journal.entries_kept:
            ledger.apply(entry)
        assert not ledger.alarms
        self.archive.commit()

    def found(self, **wanted: Any) -> set[str]:
        """Return the names of what is found."""
        asked = Wanted(**wanted)
        rows = self.archive.grants(asked, self.now, first=0, most=100)
        assert self.archive.count(asked, self.now) == len(rows)
        known = {digest: name for name, digest in self.names.items()}
        return {known[one.name] for one in rows}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    made = Filled(tmp_path_factory.mktemp("portal") / "grants.db")
    yield made
    made.archive.close()


ALL = {*PHASES, "under"}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ALL),
        *[({"phase": one}, {one} | ({"under"} if one == "live" else set())) for one in PHASES],
        ({"owners": [RINGELAI]}, {*PHASES}),
        ({"owners": [RINGELAI], "codes": ["092720140140"]}, ALL),
        ({"owners": [RINGELAI[:-1]]}, set()),
        ({"owners": [PERLESREUT], "codes": ["092725214138"]}, set()),
        ({"owners": [PERLESREUT, RINGELAI]}, {*PHASES}),
        ({"owners": [AUTHORITY]}, {"under"}),
        ({"owners": ["' or 1=1 --"], "codes": ["%"]}, set()),
        ({"recipients": [OFFICE]}, ALL),
        ({"recipients": [OFFICE], "phase": "live"}, {"live", "under"}),
        ({"recipients": ["de.agency.finanzamt"]}, set()),
        ({"topic": "address"}, ALL),
        ({"topic": "sensor"}, set()),
        (
            {"owners": [RINGELAI], "recipients": [OFFICE], "topic": "v1", "phase": "revoked"},
            {"revoked"},
        ),
    ],
)
def test_what_is_found(filled: Filled, wanted: dict[str, Any], names: set[str]) -> None:
    assert filled.found(**wanted) == names


def test_parts_follow_each_other_and_the_newest_come_first(filled: Filled) -> None:
    parts = [
        filled.archive.grants(Wanted(), filled.now, first=first, most=4) for first in (0, 4, 8)
    ]
    asked = [one.grant.asked for part in parts for one in part]
    assert asked == sorted(asked, reverse=True)
    assert [len(part) for part in parts] == [4, 4, 1]


def test_a_grant_is_found_by_its_id_and_by_its_digest(filled: Filled) -> None:
    for phase in PHASES:
        digest = filled.names[phase]
        for name in (digest, digest[:32]):
            found = filled.archive.named(name)
            assert found is not None
            assert (found.name, found.grant.phase(filled.now)) == (digest, phase)
            assert found.grant.id.hex() == digest[:32]
    live = filled.names["live"]
    for name in ("", live[:31], "f" * 32, "x" * 32, f"{live}0"):
        assert filled.archive.named(name) is None


def test_steps_say_who_signed(filled: Filled) -> None:
    asked, approved, revoked = filled.archive.steps(filled.names["revoked"])
    assert [one.kind for one in (asked, approved, revoked)] == [
        "grant-asked", "grant-approved", "grant-revoked",
    ]  # fmt: skip
    assert [one.member for one in (asked, approved, revoked)] == [OFFICE, RINGELAI, RINGELAI]
    assert approved.keys == (filled.journal.key(RINGELAI).key_id,)
    assert (asked.why, approved.why) == ("", "Nach Prüfung.")
    assert asked.entry < approved.entry < revoked.entry
    assert filled.archive.steps("nothing") == []


def test_a_second_key_is_a_step_of_its_own(tmp_path: Path) -> None:
    filled = Filled(tmp_path / "grants.db")
    journal, second = filled.journal, filled.journal.key("second")
    city = journal.key(RINGELAI)
    key = {"member": RINGELAI, "key": journal.new_key(second)}
    assert journal.say("key", key, city, second) is None
    assert journal.say("four-eyes", {"member": RINGELAI, "wanted": True}, city) is None
    name = journal.asks()
    for signer in (city, second):
        assert journal.say("grant-approved", {"grant": name}, signer) is None
    filled.archive.open()
    filled.replay(journal)
    assert [one.kind for one in filled.archive.steps(name)] == [
        "grant-asked", "grant-approved", "grant-approved",
    ]  # fmt: skip
    found = filled.archive.named(name)
    assert found is not None
    assert found.grant.phase(filled.now) == "live"
    filled.archive.close()


async def test_a_disk_that_takes_nothing_more_is_told_on_pages(tmp_path: Path) -> None:
    archive, journal = Archive(tmp_path / "grants.db"), town()
    archive.open()
    following = Following(journal, archive)
    await following.catch_up()
    archive._open.execute("pragma query_only = on")
    journal.asks()
    await following.run()
    assert isinstance(following.trouble, StorageUnusable)
    assert "readonly" in str(following.trouble)
    archive.close()
