"""What counts in the journal: the first record that follows the head, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.journal.chain import CHAIN, START, Chain, Entry, digest_of, encode

FIRST = encode(START, CHAIN, {"id": "c0ffee"}, at=1, nonce="n")


def fold(*values: bytes | None) -> tuple[Chain, list[Entry]]:
    chain = Chain()
    entries = [entry for value in values if (entry := chain.follow(value)) is not None]
    return chain, entries


def after(value: bytes, kind: str, **body: Any) -> bytes:
    return encode(digest_of(value), kind, body, at=2, nonce="n")


def test_an_entry_is_canonical_json() -> None:
    assert (
        after(FIRST, "level", z="ß", a=1)
        == (
            '{"after":"' + digest_of(FIRST) + '","at":2,"body":{"a":1,"z":"ß"},'
            '"kind":"level","nonce":"n","v":1}'
        ).encode()
    )


def test_two_entries_are_never_the_same_bytes() -> None:
    assert encode(START, "x", {}, at=1) != encode(START, "x", {}, at=1)


def test_the_first_entry_names_the_chain() -> None:
    chain, entries = fold(FIRST)
    assert (chain.id, chain.length, chain.head) == ("c0ffee", 1, digest_of(FIRST))
    assert [entry.number for entry in entries] == [1]


def test_the_first_that_follows_the_head_counts_and_the_second_is_void() -> None:
    one, two = after(FIRST, "x", by="one"), after(FIRST, "x", by="two")
    assert [entry.body.get("by") for entry in fold(FIRST, one, two)[1]] == [None, "one"]
    assert [entry.body.get("by") for entry in fold(FIRST, two, one)[1]] == [None, "two"]


def test_what_follows_a_void_entry_is_void() -> None:
    one, two = after(FIRST, "x", by="one"), after(FIRST, "x", by="two")
    _, entries = fold(FIRST, one, two, after(two, "x", by="three"))
    assert [entry.body.get("by") for entry in entries] == [None, "one"]


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(None, id="no value"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\x00", id="bytes"),
        pytest.param(b"{}", id="JSON without a link"),
        pytest.param(json.dumps({"after": digest_of(FIRST)}).encode(), id="JSON with spaces"),
        pytest.param(FIRST, id="the first entry again"),
        pytest.param(encode(START, CHAIN, {"id": "other"}, at=1), id="another beginning"),
        pytest.param(encode("f" * 64, "x", {}, at=1), id="an entry of another chain"),
    ],
)
def test_a_record_that_does_not_follow_changes_nothing(stray: bytes | None) -> None:
    last = after(FIRST, "x")
    assert fold(FIRST, stray, last)[0].head == fold(FIRST, last)[0].head


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"not JSON", id="no JSON"),
        pytest.param(b'"v":2,"kind":"x","body":{},"at":1}', id="a later format"),
        pytest.param(b'"v":1,"kind":1,"body":{},"at":1}', id="a kind that is no text"),
        pytest.param(b'"v":1,"kind":"x","body":[],"at":1}', id="a body that is no object"),
        pytest.param(b'"v":1,"kind":"x","at":1}', id="no body"),
        pytest.param(b'"v":1,"kind":"x","body":{}}', id="no time"),
        pytest.param(b'"v":' + b"[" * 100_000, id="brackets without end"),
        pytest.param(b'"v":"\xff"}', id="no UTF-8"),
    ],
)
def test_an_entry_that_cannot_be_read_takes_its_place_without_effect(rest: bytes) -> None:
    odd = b'{"after":"' + digest_of(FIRST).encode() + b'",' + rest
    chain, entries = fold(FIRST, odd, after(odd, "x"))
    assert [entry.kind for entry in entries] == [CHAIN, "", "x"]
    assert chain.length == 3


def test_a_chain_without_its_beginning_is_noticed() -> None:
    assert fold(after(FIRST, "x"))[0].has_lost_its_beginning
    assert not fold()[0].has_lost_its_beginning
    assert not fold(None, b"x", FIRST)[0].has_lost_its_beginning


class Node:
    """A writer that follows the rules, with a view of the topic that may be behind."""

    def __init__(self, name: str) -> None:
        self.name, self.chain, self.read = name, Chain(), 0
        self.seen: list[str] = []

    def catch_up(self, topic: list[bytes], upto: int) -> None:
        for value in topic[self.read : max(upto, self.read)]:
            if entry := self.chain.follow(value):
                self.seen.append(entry.digest)
        self.read = max(upto, self.read)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["read", "write", "late", "land", "junk"])),
    max_size=60,
)


@given(STEPS)
def test_all_writers_agree_however_they_interleave(steps: list[tuple[int, str]]) -> None:
    """Writes may be based on old views, and may land long after they were made."""
    topic: list[bytes] = []
    nodes = [Node(f"n{number}") for number in range(3)]
    under_way: list[bytes] = []
    for number, step in steps:
        node = nodes[number]
        value = encode(node.chain.head, "x", {"by": node.name}, at=0)
        match step:
            case "read":
                node.catch_up(topic, len(topic))
            case "write":
                topic.append(value)
            case "late":
                under_way.append(value)
            case "land" if under_way:
                topic.append(under_way.pop(0))
            case "junk":
                topic.append(b"junk")
    for node in nodes:
        node.catch_up(topic, len(topic))
    assert nodes[0].seen == nodes[1].seen == nodes[2].seen
    counted = [value for value in topic if digest_of(value) in nodes[0].seen]
    links = [json.loads(value)["after"] for value in counted]
    assert links == [START, *nodes[0].seen][: len(links)]


@given(STEPS, st.data())
def test_a_view_that_is_behind_is_a_prefix(steps: list[tuple[int, str]], data: Any) -> None:
    topic: list[bytes] = []
    writers = [Node("a"), Node("b"), Node("c")]
    for number, _ in steps:
        writers[number].catch_up(topic, data.draw(st.integers(0, len(topic))))
        topic.append(encode(writers[number].chain.head, "x", {}, at=0))
    whole, part = Node("whole"), Node("part")
    whole.catch_up(topic, len(topic))
    part.catch_up(topic, data.draw(st.integers(0, len(topic))))
    assert whole.seen[: len(part.seen)] == part.seen
