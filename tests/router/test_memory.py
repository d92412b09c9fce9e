"""What the router remembers of a partition: what is committed, and what a transaction changes."""

from bus.kafka import Fetched
from bus.router.held import Had, Held
from bus.router.memory import BEGUN, DONE, KNOWN, Memory, mark_of, memory_spec
from tests.router.town import TAX, TOPIC, WATER, residents

GRANT, OTHER = bytes(16), bytes([1] * 16)
KEY = "de.assoc.ilzer-land:person-ä".encode()


def held(offset: int = 1, **feeds: bytes) -> Held:
    """Return what is held of a key that each recipient has under a grant."""
    names = {"tax": TAX, "water": WATER}
    had = {names[name]: Had(name.encode(), (grant,)) for name, grant in feeds.items()}
    return Held(offset, "an-id", "de.assoc.ilzer-land", "0927", "de.mun.1", "person-ä", had)


def read_back(memory: Memory) -> Memory:
    """Return another one's memory, read from what a memory has written."""
    other = Memory("other")
    for record in memory.changes():
        other.fold(Fetched("held", 0, 0, 0, record.key, record.value, []))
    return other


def test_what_is_held_comes_back_as_it_was() -> None:
    memory = Memory("one")
    memory.put(KEY, held(tax=GRANT, water=OTHER))
    memory.mark(GRANT, BEGUN)
    other = read_back(memory)
    assert other.get(KEY) == held(tax=GRANT, water=OTHER)
    assert other.snapshots == {GRANT: False}


def test_what_a_transaction_changes_is_true_with_it_or_forgotten() -> None:
    memory = Memory("one")
    memory.put(KEY, held(tax=GRANT))
    memory.mark(GRANT, DONE)
    memory.settle()
    memory.put(KEY, held(2, water=GRANT))
    memory.mark(GRANT, None)
    memory.mark(OTHER, KNOWN)
    assert memory.get(KEY) == held(2, water=GRANT)
    assert memory.snapshots == {OTHER: False}
    memory.undo()
    assert memory.get(KEY) == held(tax=GRANT)
    assert memory.snapshots == {GRANT: True}
    assert memory.changes() == []


def test_a_key_that_ended_is_a_tombstone_there() -> None:
    memory = Memory("one")
    memory.put(KEY, held(tax=GRANT))
    memory.settle()
    memory.put(KEY, None)
    (record,) = memory.changes()
    assert (record.key, record.value) == (KEY, None)
    memory.settle()
    assert memory.get(KEY) is None


def test_keys_are_found_by_the_grants_under_which_somebody_has_them() -> None:
    memory = Memory("one")
    memory.put(b"both", held(tax=GRANT, water=OTHER))
    memory.put(b"other", held(water=OTHER))
    memory.put(b"nobody's", held())
    memory.settle()
    assert sorted(memory.under({GRANT})) == [b"both"]
    assert sorted(memory.under({OTHER})) == [b"both", b"other"]
    assert [key for key, _ in memory.given()] == [b"both", b"other"]
    assert memory.get(b"nobody's") == held()


def test_each_feed_is_counted_and_what_was_not_written_is_counted_again() -> None:
    memory = Memory("one")
    assert [memory.sequence("a"), memory.sequence("a"), memory.sequence("b")] == [
        "one/1",
        "one/2",
        "one/1",
    ]
    memory.undo()
    assert memory.sequence("a") == "one/1"
    memory.settle()
    memory.forget()
    assert memory.sequence("a") == "one/2"


def test_its_topic_is_compacted_and_has_the_contracts_partitions() -> None:
    spec = memory_spec(residents())
    assert spec.name == f"_stadtbus.held.{TOPIC}"
    assert spec.partitions == residents().partitions
    assert spec.configs["cleanup.policy"] == "compact"


def test_no_events_key_is_a_mark() -> None:
    """A % that is part of a key is escaped as %25, so no key goes on with an s after it."""
    assert mark_of(GRANT).startswith(b"%s")
