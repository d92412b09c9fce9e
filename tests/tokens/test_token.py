"""What a token is, and which lets somebody in: pure."""

import json
from dataclasses import replace

import pytest

from bus.errors import BusError, InvalidInput, NotAuthorised
from bus.tokens import Book, Token, TokenRefused, made
from bus.tokens.token import id_in, read_token

SYSTEM, NOW = "de.mun.092720140140.meldewesen", 1_800_000_000_000
LATER = NOW + 86_400_000


@pytest.fixture
def one() -> tuple[Token, str]:
    return made(SYSTEM, now=NOW, until=LATER, role="viewer")


@pytest.fixture
def book(one: tuple[Token, str]) -> Book:
    book = Book()
    book.take(one[0].id.encode(), one[0].record())
    return book


def test_what_is_kept_does_not_tell_the_token(one: tuple[Token, str]) -> None:
    token, text = one
    secret = text.rpartition("_")[2]
    assert len(secret) * 4 == 192
    assert secret not in token.record().decode()
    assert secret not in repr(token)
    assert read_token(token.id, token.record()) == token


def test_no_two_are_alike() -> None:
    assert len({made(SYSTEM, now=NOW, until=LATER)[1] for _ in range(100)}) == 100


def test_it_is_its_users_until_it_ends(one: tuple[Token, str], book: Book) -> None:
    token, text = one
    assert book.judge(text, NOW) == token
    assert book.judge(text, LATER - 1) == token
    with pytest.raises(TokenRefused, match="ended on 2027-01-16"):
        book.judge(text, LATER)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is no token of this bus", id="nothing"),
        pytest.param("eyJhbGciOiJub25lIn0.e30.", "is no token of this bus", id="a JWT"),
        pytest.param(f"stadtbus_{'0' * 16}_{'0' * 48}", "no such token", id="another bus's"),
        pytest.param(
            f"stadtbus_{chr(0x660) * 16}_{'0' * 48}", "is no token", id="digits of another script"
        ),
    ],
)
def test_what_is_none_is_refused(book: Book, text: str, why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        book.judge(text, NOW)


def test_its_name_alone_lets_nobody_in(one: tuple[Token, str], book: Book) -> None:
    forged = f"stadtbus_{one[0].id}_{'0' * 48}"
    assert id_in(forged) == one[0].id
    with pytest.raises(TokenRefused, match="no such token"):
        book.judge(forged, NOW)
    with pytest.raises(TokenRefused):
        book.judge(one[1] + "\n", NOW)


def test_what_was_revoked_is_unknown(one: tuple[Token, str], book: Book) -> None:
    book.take(one[0].id.encode(), None)
    with pytest.raises(TokenRefused, match="revoked"):
        book.judge(one[1], NOW)
    assert book.of(SYSTEM) == []


def test_while_its_user_is_locked_out_it_does_not_count(one: tuple[Token, str], book: Book) -> None:
    book.take(f"lock:{SYSTEM}".encode(), b"{}")
    with pytest.raises(NotAuthorised, match="locked out"):
        book.judge(one[1], NOW)
    book.take(b"lock:somebody", b"{}")
    book.take(f"lock:{SYSTEM}".encode(), None)
    assert book.judge(one[1], NOW) == one[0]


SPOILT = {
    "another id": {"id": "0" * 16},
    "no hash": {"hash": ""},
    "nobody": {"user": ""},
    "a role there is not": {"role": "root"},
    "no time": {"until": "later"},
    "one thing more": {"more": 1},
}


@pytest.mark.parametrize("changes", SPOILT.values(), ids=SPOILT.keys())
def test_a_record_that_is_no_token_lets_nobody_in(
    one: tuple[Token, str], book: Book, changes: dict[str, object]
) -> None:
    token, text = one
    spoilt = json.dumps(json.loads(token.record()) | changes).encode()
    with pytest.raises(InvalidInput, match="is no token"):
        read_token(token.id, spoilt)
    book.take(token.id.encode(), spoilt)
    with pytest.raises(BusError):
        book.judge(text, NOW)


@pytest.mark.parametrize(("key", "value"), [(None, b"{}"), (b"\xff", b"\xff"), (b"x", b"[]")])
def test_hostile_bytes_are_left_out(book: Book, key: bytes | None, value: bytes) -> None:
    book.take(key, value)
    assert len(book.tokens) == 1


def test_a_users_tokens_are_listed_oldest_first(one: tuple[Token, str], book: Book) -> None:
    older = replace(one[0], id="f" * 16, issued=NOW - 1)
    book.take(older.id.encode(), older.record())
    assert [token.id for token in book.of(SYSTEM)] == [older.id, one[0].id]
    assert book.users == {SYSTEM}
