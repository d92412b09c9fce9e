"""A statement is a canonical text and its signatures; what is not canonical is not read."""

import json
from datetime import datetime
from typing import Any

import pytest

from bus.errors import InvalidStatement
from bus.trust.statements import MAX_BYTES, MAX_SIGNATURES, PREFIX, compose, read
from tests.trust.parties import BEGIN, CHAIN_ID, signer

NONCE = "0" * 32
TEXT = (
    '{"chain":"cccccccccccccccccccccccccccccccc","issued":"2026-07-01T06:00:00Z","kind":"root",'
    '"nonce":"00000000000000000000000000000000","says":{"b":[1,true,null],"ä":"Grüße"},"v":1}'
)


def text(**changes: Any) -> str:
    value = json.loads(TEXT) | changes
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def body(text: str, *signatures: object) -> dict[str, Any]:
    return {"text": text, "signatures": list(signatures)}


def test_the_text_is_canonical() -> None:
    says = {"ä": "Gru\u0308ße", "b": [1, True, None]}
    made = compose(CHAIN_ID, "root", says, issued=BEGIN, nonce=NONCE)
    assert made.text == TEXT
    assert read(made.body()) == made
    assert made.says == {"b": [1, True, None], "ä": "Grüße"}


def test_two_statements_are_never_the_same() -> None:
    one, two = (compose(CHAIN_ID, "root", {}, issued=BEGIN) for _ in range(2))
    assert one.digest != two.digest


def test_what_is_signed_is_the_prefix_and_the_text() -> None:
    key, other = signer(1), signer(2)
    made = read(body(TEXT)).signed(key)
    assert made.signatures[0] == (key.key_id, key.sign(PREFIX + TEXT.encode()))
    assert made.is_signed_by(key.public)
    assert not made.is_signed_by(other.public)
    assert made.digest == read(body(TEXT)).digest
    both = made.signed(other)
    assert both.is_signed_by(key.public)
    assert both.is_signed_by(other.public)
    assert len(both.signed(other).signatures) == 2


def test_a_signature_of_another_text_is_none() -> None:
    key = signer(1)
    signature = read(body(TEXT)).signed(key).body()["signatures"][0]
    other = read(body(text(kind="member"), signature))
    assert not other.is_signed_by(key.public)


@pytest.mark.parametrize(
    "given",
    [
        TEXT + " ",
        TEXT.replace('"v":1', '"v": 1'),
        TEXT.replace('"v":1', '"v":1.0'),
        TEXT.replace('"v":1', '"v":true'),
        TEXT.replace('"v":1', '"v":2'),
        TEXT.replace('"v":1', '"v":1,"v":1'),
        TEXT.replace('"v":1', '"v":1,"w":1'),
        TEXT.replace("ß", "\\u00df"),
        TEXT.replace("ü", "u\u0308"),
        TEXT.replace("ü", "\ud800"),
        TEXT.replace("[1,", "[1.5,"),
        TEXT.replace("[1,", "[NaN,"),
        TEXT.replace("[1,", f"[{2**53 + 1},"),
        TEXT.replace('"kind":"root",', ""),
        text(kind="Root"),
        text(kind=1),
        text(nonce="0" * 31),
        text(chain=""),
        text(chain=7),
        text(says=[]),
        text(says={"deep": json.loads("[" * 20 + "]" * 20)}),
        text(says={"long": "x" * MAX_BYTES}),
        text(issued="2026-07-01"),
        text(issued="2026-07-01T06:00:00+00:00"),
        text(issued="2026-13-01T06:00:00Z"),
        text(issued="0001-01-01T00:00:00+14:00"),
        text(issued=0),
        "[" * 100_000,
        "null",
        "",
    ],
)
def test_a_text_of_another_form_is_not_read(given: str) -> None:
    with pytest.raises(InvalidStatement):
        read(body(given))


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"text": TEXT},
        {"text": TEXT, "signatures": {}},
        {"text": TEXT, "signatures": [], "more": 1},
        body(TEXT, {}),
        body(TEXT, {"key": "a" * 32, "signature": "?"}),
        body(TEXT, {"key": "a" * 32, "signature": "AAAA"}),
        body(TEXT, {"key": "A" * 32, "signature": "A" * 86 + "=="}),
        body(TEXT, *[{"key": "a" * 32, "signature": "A" * 86 + "=="}] * 2),
        body(
            TEXT,
            *[
                {"key": f"{number:032x}", "signature": "A" * 86 + "=="}
                for number in range(MAX_SIGNATURES + 1)
            ],
        ),
    ],
)
def test_a_body_of_another_form_is_not_read(given: object) -> None:
    with pytest.raises(InvalidStatement):
        read(given)


@pytest.mark.parametrize("says", [{"a": 1.5}, {"a": {1, 2}}, {"a": b""}, {"a": 2**60}])
def test_what_cannot_be_read_back_is_not_composed(says: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatement):
        compose(CHAIN_ID, "root", says, issued=BEGIN)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidStatement, match="no time zone"):
        compose(CHAIN_ID, "root", {}, issued=datetime(2026, 7, 1))  # noqa: DTZ001
