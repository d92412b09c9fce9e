"""The snapshot: what is kept, and that one that is not right is never used."""

import json
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.trust.grants import snapshot as module
from bus.trust.grants.book import Book
from bus.trust.grants.grant import State, grant_id
from bus.trust.grants.granting import APPROVED, ENDED, REFUSED, REVOKED, Step
from bus.trust.grants.parties import Verified
from bus.trust.grants.snapshot import Snapshot
from tests.trust.grants.parties import (
    AUTHORITY,
    NOW,
    OWNER,
    RECIPIENT,
    TOPIC,
    World,
    asked,
    decided,
    terms,
)

CHAIN, HEAD = "chain-1", "ab" * 32
ARS = "092720140140"
REQUESTS = [
    asked(terms(rows=[{"field": "cause", "is": "MOVE"}], fields=["cause"]), number=1),
    asked(terms(owner={"authority": AUTHORITY, "ars": "09"}, fields=["household"]), number=2),
    asked(terms(recipient="de.util.stadtwerke", basis={"text": "ü" * 500, "norm": "§ 1 AO"})),
    asked(terms(topic="resident.name-changed.v1"), number=4),
    asked(terms(), number=5),
]
STATEMENTS = [
    *REQUESTS,
    decided(REQUESTS[0]),
    decided(REQUESTS[1], by=AUTHORITY),
    decided(REQUESTS[2], at_ms=NOW + 1),
    decided(REQUESTS[2], REVOKED, at_ms=NOW + 2),
    decided(REQUESTS[3], REFUSED, at_ms=NOW + 1),
]
IDS = [grant_id(one.digest) for one in REQUESTS]


def digest_at(number: int) -> str | None:
    return HEAD if number == 10 else None


def write(file: Path, statements: list[Verified], world: World | None = None) -> Book:
    """Read statements on from where a snapshot is, and keep what they did."""
    kept = Snapshot(file, CHAIN)
    book, _ = kept.load(digest_at, world or World())
    for statement in statements:
        step = book.apply(statement)
        assert isinstance(step, Step)
        kept.note(book, step, statement)
    kept.commit(10, HEAD)
    kept.close()
    return book


def read(file: Path, chain: str = CHAIN) -> tuple[Book, int]:
    kept = Snapshot(file, chain)
    try:
        return kept.load(digest_at, World())
    finally:
        kept.close()


def test_what_was_kept_is_what_was_known(tmp_path: Path) -> None:
    file = tmp_path / "grants.sqlite"
    written = write(file, STATEMENTS)
    book, number = read(file)
    assert (number, len(book)) == (10, 5)
    assert file.stat().st_mode & 0o777 == 0o600
    for one in range(5):
        assert book.holdings.core(one) == written.holdings.core(one)
        assert book.holdings.state(one) is written.holdings.state(one)
    for cause in ("MOVE", "BIRTH"):
        event = (TOPIC, OWNER, ARS, {"cause": cause}, NOW)
        assert book.match(*event) == written.match(*event) != []


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "grants.sqlite"
    write(file, STATEMENTS[:3])
    write(file, STATEMENTS[3:])
    book, number = read(file)
    assert (number, len(book)) == (10, 5)
    assert book.holdings.state(0) is State.APPROVED


def test_the_first_of_two_keys_is_kept(tmp_path: Path) -> None:
    file, world = tmp_path / "grants.sqlite", World(four_eyes={OWNER})
    write(file, [REQUESTS[0], decided(REQUESTS[0])], world)
    book, _ = read(file)
    assert book.granting.signed(0) == {"o1"}
    book = write(file, [decided(REQUESTS[0], APPROVED, keys=frozenset({"o2"}))], world)
    assert book.holdings.state(0) is State.APPROVED


def test_whose_grants_there_are(tmp_path: Path) -> None:
    write(tmp_path / "grants.sqlite", STATEMENTS)
    kept = Snapshot(tmp_path / "grants.sqlite", CHAIN)
    assert [one.id for one in kept.of_owner(OWNER)] == [IDS[0], IDS[2], IDS[3], IDS[4]]
    assert [one.id for one in kept.of_owner(OWNER, ARS)] == IDS
    assert [one.id for one in kept.of_owner(AUTHORITY)] == [IDS[1]]
    assert [one.id for one in kept.of_owner("de.mun.110000000000", "110000000000")] == []
    assert [one.id for one in kept.of_recipient(RECIPIENT)] == [IDS[0], IDS[1], IDS[3], IDS[4]]
    assert [one.id for one in kept.on_topic(TOPIC)] == [IDS[0], IDS[1], IDS[2], IDS[4]]
    found = kept.grant(IDS[2])
    assert found is not None
    assert found.terms.to_json() == REQUESTS[2].body
    assert (found.state, found.asked_ms) == (State.REVOKED, NOW)
    assert (found.decided_ms, found.ended_ms) == (NOW + 1, NOW + 2)
    assert kept.grant(bytes(16)) is None
    kept.close()


def test_what_was_not_committed_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "grants.sqlite"
    write(file, STATEMENTS)
    kept = Snapshot(file, CHAIN)
    book, _ = kept.load(digest_at, World())
    given_up = decided(REQUESTS[0], ENDED, by=RECIPIENT)
    step = book.apply(given_up)
    assert isinstance(step, Step)
    kept.note(book, step, given_up)
    kept.close()
    again, number = read(file)
    assert (number, again.holdings.state(0)) == (10, State.APPROVED)


def sql(text: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        database = sqlite3.connect(file)
        assert database.execute(text).rowcount
        database.commit()
        database.close()

    return change


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:6000])


def flipped(word: bytes) -> Callable[[Path], None]:
    """Change one letter of a text in the file, wherever it stands in a row."""

    def change(file: Path) -> None:
        content = file.read_bytes()
        place = content.rindex(word)
        file.write_bytes(content[:place] + b"X" + content[place + 1 :])

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.write_bytes(b"no database at all, but long enough" * 9), "damaged"),
        (cut, "damaged"),
        (flipped(b'"MOVE"'), "damaged"),
        (flipped(RECIPIENT.encode()), "damaged"),
        (sql("update one set state = 1 where n = 4"), "grant 4 is not as it was written"),
        (sql("update one set fields = '[\"person\"]' where n = 0"), "damaged"),
        (sql("update one set until = until + 1 where n = 1"), "damaged"),
        (sql("delete from one where n = 2"), "damaged"),
        (sql("delete from one where n = 4"), "not all grants are there"),
        (sql("delete from head"), "it has no head"),
        (sql("update head set digest = 'x'"), "entry 10 of the journal is not the one"),
        (sql("update head set number = 11"), "entry 11 of the journal is not the one"),
        (sql("update head set format = '0-x'"), "of another format or vocabulary"),
        (sql("update head set chain = 'chain-2'"), "belongs to the journal chain-2"),
    ],
)
def test_one_that_is_not_right_is_thrown_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Callable[[Path], None], said: str
) -> None:
    file = tmp_path / "grants.sqlite"
    write(file, STATEMENTS)
    change(file)
    with caplog.at_level(logging.WARNING):
        book, number = read(file)
    assert (number, len(book)) == (0, 0)
    assert "is thrown away and made anew from the journal" in caplog.text
    assert said in caplog.text
    write(file, STATEMENTS)
    assert len(read(file)[0]) == 5


def test_a_new_word_in_the_vocabulary_makes_it_another_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "grants.sqlite"
    write(file, STATEMENTS)
    monkeypatch.setattr(module, "PURPOSES", {"new": ("neu", "new")})
    assert read(file)[1] == 0


def test_the_legal_basis_is_in_the_file_and_not_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "grants.sqlite"
    book = write(file, STATEMENTS)
    assert "ü" * 500 in file.read_text(errors="ignore")
    assert "ü" not in json.dumps(book.holdings.core(2), default=str, ensure_ascii=False)
