"""Signed events and parts of them: the vectors, and forgeries that nobody must take for true."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from bus.avro.codec import Codec
from bus.errors import BusError, NotVerified
from bus.event import unframe
from bus.trust.leaves import SUBJECT
from bus.trust.part import read_part
from bus.trust.projection import Projection
from bus.trust.reasons import Reason
from bus.trust.signed import UNCOVERED, Content, Signed
from bus.trust.signer import key_id_of
from tests.trust import vectors
from tests.trust.events import SIGNER, STRANGER, TOPIC, Written, giving, on_a_feed, whole
from tests.trust.forgeries import Forgery, forgeries
from tests.trust.samples import PARTS, PROJECTION, event, tombstone
from tests.trust.vectors import FEED_ID, FILE, SOURCE_ID

VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
PUBLIC = {signer.key_id: signer.public for signer in (SIGNER, STRANGER)}
FORGERIES = [pytest.param(each, id=each.name) for each in forgeries()]


def part(record: Written, projection: Projection | None) -> Signed:
    content = Content(projection, record.data) if projection and record.data is not None else None
    return read_part(TOPIC, record.key, content, record.headers)


def checked(signed: Signed, public: bytes = SIGNER.public) -> Signed:
    """Check as somebody does who expects the city's key."""
    if key_id_of(public) != signed.mark.key_id:
        raise NotVerified("signed by another", reason=Reason.WRONG_KEY)
    signed.check(public)
    return signed


def read(vector: dict[str, Any], *, is_part: bool) -> Signed:
    """Read a record of the file."""
    body = None
    if vector["value"] is not None:
        schema_id, body = unframe(bytes.fromhex(vector["value"]))
        assert schema_id == (FEED_ID if is_part else SOURCE_ID)
    projection = None if body is None else Projection(VECTORS["schema"]["text"])
    headers = [(name, bytes.fromhex(value)) for name, value in vector["headers"]]
    record = Written(bytes.fromhex(vector["key"]), body, headers)
    return part(record, projection) if is_part else whole(record, projection)


def test_the_vectors_are_what_the_script_makes() -> None:
    assert vectors.vectors() == VECTORS, "make them anew: python -m tests.trust.vectors"


def test_the_page_and_the_code_know_the_same_reasons() -> None:
    page = (FILE.parent / "wire.md").read_text(encoding="utf-8")
    _, _, tables = page.partition("**To check**")
    said = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", tables.partition("\n## ")[0], re.MULTILINE)
    assert sorted(re.findall("[a-z-]+", " ".join(said))) == sorted(Reason)


@pytest.mark.parametrize("vector", VECTORS["events"], ids=lambda vector: str(vector["name"]))
def test_vectors_verify(vector: dict[str, Any]) -> None:
    public = bytes.fromhex(VECTORS["keys"]["city"]["public"])
    signed = checked(read(vector, is_part=False), public)
    assert [leaf.name for leaf in signed.leaves] == [leaf["name"] for leaf in vector["leaves"]]
    assert not signed.withheld
    for each in vector["parts"]:
        given = checked(read(each, is_part=True), public)
        assert set(given.given) == set(each["fields"])
        assert set(given.given) | set(given.withheld) == {leaf["name"] for leaf in vector["leaves"]}


def test_a_feeds_schema_follows_from_the_contracts() -> None:
    feed = json.loads(VECTORS["feed_schema"]["text"])
    assert feed["stadtbus.source"] == VECTORS["schema"]["fingerprint"]
    types = {field["name"]: field["type"] for field in feed["fields"]}
    assert types["id"] == ["string", "null"]
    assert types["note"] == ["null", "string"]
    assert types["either"] == ["string", "long", "null"]
    given = giving(whole(event(), PROJECTION), PROJECTION, PARTS["some fields"])
    assert given.data is not None
    data = Codec(PROJECTION.feed).decode(given.data)
    assert (data["either"], data["before"]["street"], data["kind"]) == (70000, "Altweg", None)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused(forgery: Forgery) -> None:
    projection = None if forgery.record.data is None else PROJECTION
    with pytest.raises(NotVerified) as caught:
        checked((part if forgery.is_part else whole)(forgery.record, projection))
    assert caught.value.reason == forgery.reason


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["name"]))
def test_refused_vectors(vector: dict[str, Any]) -> None:
    with pytest.raises(NotVerified) as caught:
        checked(read(vector, is_part=vector["is_part"]))
    assert caught.value.reason == vector["reason"]


def flips(record: Written) -> Iterator[tuple[str, Written]]:
    """Yield a record with each of its bytes flipped in turn: key, value, each header."""
    for key in _flipped(record.key):
        yield "key", record._replace(key=key)
    for data in _flipped(record.data or b""):
        yield "value", record._replace(data=data)
    for number, (name, value) in enumerate(record.headers):
        for changed in _flipped(name.encode()):
            yield f"name of {name}", _with(record, number, changed.decode("latin-1"), value)
        for altered in _flipped(value):
            yield name, _with(record, number, name, altered)


def _flipped(value: bytes) -> Iterator[bytes]:
    for at, byte in enumerate(value):
        yield value[:at] + bytes([byte ^ 1]) + value[at + 1 :]


def _with(record: Written, number: int, name: str, value: bytes) -> Written:
    headers = list(record.headers)
    headers[number] = (name, value)
    return record._replace(headers=headers)


def some_of_it() -> Written:
    return on_a_feed(giving(whole(event(), PROJECTION), PROJECTION, PARTS["with key and subject"]))


@pytest.mark.parametrize(
    ("record", "reading", "projection", "free"),
    [
        pytest.param(event(), whole, PROJECTION, {"stadtbus-seq"}, id="an event"),
        pytest.param(tombstone(), whole, None, {"stadtbus-seq"}, id="a tombstone"),
        pytest.param(
            some_of_it(), part, PROJECTION, {"stadtbus-seq", "name of stadtbus-seq"}, id="a part"
        ),
    ],
)
def test_a_flip_of_any_byte_is_noticed(
    record: Written, reading: Any, projection: Projection | None, free: set[str]
) -> None:
    counted = record
    if "stadtbus-seq" not in dict(record.headers):
        counted = record._replace(headers=[*record.headers, ("stadtbus-seq", b"f/1")])
    checked(reading(counted, projection))
    unnoticed = set()
    for where, altered in flips(counted):
        try:
            checked(reading(altered, projection))
        except BusError:
            continue
        unnoticed.add(where)
    assert unnoticed == free


def test_what_no_signature_covers_may_change() -> None:
    assert UNCOVERED == ("stadtbus-seq", "traceparent", "tracestate")
    record = event()
    added = [*record.headers, *((name, b"anything") for name in UNCOVERED)]
    checked(whole(record._replace(headers=added), PROJECTION))


def test_another_schema_is_another_event() -> None:
    """Symbols in another order would mean something else by the same bytes."""
    text = PROJECTION.text.replace('"OLD","NEW"', '"NEW","OLD"')
    assert text != PROJECTION.text
    for record, reading in ((event(), whole), (some_of_it(), part)):
        with pytest.raises(NotVerified) as caught:
            checked(reading(record, Projection(text)))
        assert caught.value.reason == Reason.ALTERED


def test_the_subject_is_given_and_withheld_like_a_field() -> None:
    signed = whole(event(), PROJECTION)
    with_it = giving(signed, PROJECTION, (SUBJECT,))
    without = giving(signed, PROJECTION, ("id",))
    assert dict(with_it.headers)["ce_subject"] == b"1"
    assert "ce_subject" not in dict(without.headers)
    own = on_a_feed(without)
    own.headers.append(("ce_subject", b"a name of the feed's own"))
    assert checked(part(own, PROJECTION)).given == ("id",)
