"""Whatever is signed and whatever is given of it: that much verifies, and nothing else is there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.avro.codec import Codec
from bus.errors import BusError
from bus.trust.leaves import KEY, SUBJECT, digest_of
from bus.trust.part import part_of, read_part
from bus.trust.projection import Projection
from bus.trust.signature import DIGESTS, MUNICIPALITY_HEADER, SALTS, SIGNATURE, WITHHELD
from bus.trust.signed import Content, read_whole
from tests.trust.events import SIGNER, TOPIC, envelope, on_a_feed, whole, written

_COLOUR = {"type": "enum", "name": "Colour", "symbols": ["RED", "GREEN"], "default": "RED"}
_POINT = {
    "type": "record",
    "name": "Point",
    "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": ["null", "string"]}],
}

_text = st.text(max_size=40)
_whole_number = st.integers(-(2**63), 2**63 - 1)
_point = st.fixed_dictionaries({"x": st.floats(allow_nan=False, width=32), "y": st.none() | _text})
KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", _text),
    ("long", _whole_number),
    ("boolean", st.booleans()),
    ("null", st.none()),
    ("bytes", st.binary(max_size=40)),
    ({"type": "array", "items": "string"}, st.lists(_text, max_size=3)),
    ({"type": "map", "values": "long"}, st.dictionaries(_text, _whole_number, max_size=3)),
    (["null", "string"], st.none() | _text),
    (["string", "null"], st.none() | _text),
    (["string", "long"], _text | _whole_number),
    (["boolean", "null", "long"], st.booleans() | st.none() | _whole_number),
    ("Colour", st.sampled_from(["RED", "GREEN"])),
    ("Point", _point),
]
"""Types of fields, and values of them; a named type is defined by the field that has it first."""


@st.composite
def events(draw: st.DrawFn) -> tuple[Projection, dict[str, Any]]:
    """Return a schema's projection and data of it."""
    chosen = draw(st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=8))
    named = {"Colour": _COLOUR, "Point": _POINT}
    fields, data = [], {}
    for number, index in enumerate(chosen):
        type_, values = KINDS[index]
        defined = named.pop(type_, type_) if isinstance(type_, str) else type_
        fields.append({"name": f"f{number}", "type": defined})
        data[f"f{number}"] = draw(values)
    return Projection({"type": "record", "name": "Drawn", "fields": fields}), data


@given(events(), st.data())
def test_what_is_given_verifies_and_what_is_withheld_is_nowhere(
    event: tuple[Projection, dict[str, Any]], data: st.DataObject
) -> None:
    projection, values = event
    source = Codec(projection.text)
    encoded = source.encode(values)
    secret = "s3cret-" * 3
    key, subject = f"{secret}key".encode(), f"{secret}subject"
    record = written(projection, encoded, key=key, headers=envelope(subject))
    signed = whole(record, projection)
    signed.check(SIGNER.public)
    names = [leaf.name for leaf in signed.leaves]
    chosen = data.draw(st.frozensets(st.sampled_from(names)))

    part = part_of(signed, projection, chosen)
    received = on_a_feed(part)
    assert received.data is not None
    read = read_part(TOPIC, received.key, Content(projection, received.data), received.headers)
    read.check(SIGNER.public)
    assert set(read.given) == chosen
    assert {leaf.name: leaf.content for leaf in read.leaves if leaf.content is not None} == {
        leaf.name: leaf.content for leaf in signed.leaves if leaf.name in chosen
    }

    plain = Codec(projection.feed).decode(received.data)
    before = source.decode(encoded)
    assert plain == {name: before[name] if name in chosen else None for name in before}

    everything = b"".join([received.key, received.data, *(value for _, value in received.headers)])
    for leaf in signed.leaves:
        assert leaf.salt is not None
        assert leaf.content is not None
        assert (leaf.salt in everything) == (leaf.name in chosen)
        hidden = leaf.name not in chosen and len(leaf.content) >= 12
        shown = any(leaf.content in (each.content or b"") for each in read.leaves)
        if hidden and not shown:
            assert leaf.content not in everything
    assert (f"{secret}key".encode() in everything) == (KEY in chosen)
    assert (f"{secret}subject".encode() in everything) == (SUBJECT in chosen)


@given(events(), st.data())
def test_a_flipped_bit_of_a_part_never_verifies(
    event: tuple[Projection, dict[str, Any]], data: st.DataObject
) -> None:
    projection, values = event
    signed = whole(written(projection, Codec(projection.text).encode(values)), projection)
    chosen = data.draw(st.frozensets(st.sampled_from([leaf.name for leaf in signed.leaves])))
    received = on_a_feed(part_of(signed, projection, chosen))
    body = received.data or b""
    covered = [(n, v) for n, v in received.headers if n != "stadtbus-seq"]
    if SUBJECT not in chosen:
        covered = [(n, v) for n, v in covered if n != "ce_subject"]
    places = [("data", at) for at in range(len(body))]
    places += [(name, at) for name, value in covered for at in range(len(value))]
    if KEY in chosen:
        places += [("key", at) for at in range(len(received.key))]
    where, at = data.draw(st.sampled_from(places))
    bit = 1 << data.draw(st.integers(0, 7))

    def flipped(value: bytes) -> bytes:
        return value[:at] + bytes([value[at] ^ bit]) + value[at + 1 :]

    key = flipped(received.key) if where == "key" else received.key
    body = flipped(body) if where == "data" else body
    headers = [(n, flipped(v) if n == where else v) for n, v in received.headers]
    try:
        read_part(TOPIC, key, Content(projection, body), headers).check(SIGNER.public)
    except BusError:
        return
    raise AssertionError(f"bit {bit} of {where} at {at} can be flipped")


_OWN = (SIGNATURE, SALTS, DIGESTS, WITHHELD, MUNICIPALITY_HEADER, "ce_subject", "ce_note")
_BYTES = st.none() | st.binary(max_size=120) | st.sampled_from([b"", b"@key,f0", b"f0,f0"])


@given(events(), st.dictionaries(st.sampled_from(_OWN), _BYTES), st.binary(max_size=60), st.data())
def test_whatever_strangers_write_is_refused_in_a_sentence(
    event: tuple[Projection, dict[str, Any]],
    headers: dict[str, bytes | None],
    body: bytes,
    data: st.DataObject,
) -> None:
    projection, _ = event
    base: dict[str, bytes | None] = dict(envelope())
    written_by_somebody = [*(base | headers).items()]
    content = data.draw(st.none() | st.just(Content(projection, body)))
    for read in (read_whole, read_part):
        with pytest.raises(BusError):
            read(TOPIC, b"key", content, written_by_somebody).check(SIGNER.public)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), _text)
def test_a_digest_says_nothing_without_its_salt(salt: bytes, other: bytes, value: str) -> None:
    """Who guesses the value right still cannot see that it is right."""
    content = value.encode()
    same = digest_of(salt, "f", content) == digest_of(other, "f", content)
    assert same == (salt == other)
