"""What the journal's entries come to: the same for everyone who has read as far."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.journal import Entry
from bus.registry.state import CONTRACT, LEVEL, SCHEMA, State, Version


def entry(kind: str, **body: Any) -> Entry:
    return Entry(number=1, digest="", kind=kind, body=body, at=0)


def folded(*entries: Entry) -> State:
    state = State()
    for each in entries:
        state.apply(each)
    return state


def schema(subject: str, text: str) -> Entry:
    return entry(SCHEMA, subject=subject, schema=text)


CONTRACT_BODY: dict[str, Any] = {
    "topic": "a.b.v1",
    "contract": {"topic": "a.b.v1", "versions": [{}, {}]},
    "schemas": ['"int"', '"long"'],
    "level": "FULL_TRANSITIVE",
}


def test_ids_are_given_in_the_order_of_the_chain() -> None:
    state = folded(schema("a", '"int"'), schema("b", '"long"'), schema("a", '"long"'))
    assert state.versions("a") == [Version("a", 1, 1, '"int"'), Version("a", 2, 2, '"long"')]
    assert state.versions("b") == [Version("b", 1, 2, '"long"')]
    assert state.places(2) == [("a", 2), ("b", 1)]
    assert (state.last_id, state.subjects) == (2, ["a", "b"])
    assert state.bodies[1] == b'{"schema":"\\"int\\""}'


def test_a_schema_is_registered_once_under_a_subject() -> None:
    state = folded(schema("a", '"int"'), schema("a", '"int"'))
    assert len(state.versions("a")) == 1


def test_what_nobody_registered_is_not_there() -> None:
    state = State()
    assert (state.text(0), state.text(1), state.text(-1)) == (None, None, None)
    assert (state.versions("a"), state.find("a", '"int"'), state.places(1)) == ([], None, [])
    assert (state.contract("a.b.v1"), state.contract_of("a.b.v1-value")) == (None, None)


def test_a_subject_has_the_level_for_all_until_it_gets_its_own() -> None:
    state = State()
    assert (state.level("a"), state.own_level("a")) == ("FULL_TRANSITIVE", None)
    state.apply(entry(LEVEL, subject=None, level="BACKWARD"))
    assert state.level("a") == "BACKWARD"
    state.apply(entry(LEVEL, subject="a", level="NONE"))
    assert (state.level("a"), state.own_level("a"), state.level("b")) == (
        "NONE",
        "NONE",
        "BACKWARD",
    )


def test_a_contract_comes_with_its_schemas_and_its_level() -> None:
    state = folded(entry(LEVEL, subject="a.b.v1-value", level="NONE"))
    state.apply(entry(CONTRACT, **CONTRACT_BODY))
    assert [version.id for version in state.versions("a.b.v1-value")] == [1, 2]
    assert state.level("a.b.v1-value") == "FULL_TRANSITIVE"
    assert state.topics == ["a.b.v1"]
    assert state.contract_of("a.b.v1-value") == "a.b.v1"
    assert state.contract_of("a.b.v1") is None
    assert state.contract_of("a.b.v1-key") is None


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(entry("member", id="x"), id="a kind of a later version"),
        pytest.param(entry("", **CONTRACT_BODY), id="content that could not be read"),
        pytest.param(entry(SCHEMA), id="a schema without anything"),
        pytest.param(entry(SCHEMA, subject=1, schema='"int"'), id="a subject that is no text"),
        pytest.param(entry(SCHEMA, subject="a", schema={}), id="a schema that is no text"),
        pytest.param(entry(LEVEL, subject="a", level="SIDEWAYS"), id="an unknown level"),
        pytest.param(entry(LEVEL, subject=None, level=None), id="no level"),
        pytest.param(entry(LEVEL, level="NONE"), id="a level for nobody"),
        pytest.param(
            entry(CONTRACT, **{**CONTRACT_BODY, "schemas": [1]}), id="a contract of no schemas"
        ),
        pytest.param(
            entry(CONTRACT, **{**CONTRACT_BODY, "level": "SIDEWAYS"}), id="a contract of no level"
        ),
        pytest.param(
            entry(CONTRACT, **{**CONTRACT_BODY, "contract": []}), id="a contract that is no object"
        ),
        pytest.param(
            entry(CONTRACT, **{**CONTRACT_BODY, "contract": {"versions": {}}}),
            id="a contract without versions",
        ),
    ],
)
def test_an_entry_of_an_unknown_shape_has_no_effect(odd: Entry) -> None:
    assert folded(odd).digest() == State().digest()


def test_half_a_surrogate_pair_stops_nobody() -> None:
    state = folded(schema("a\ud800", '"\ud800"'))
    assert state.bodies[1] == b'{"schema":"\\"?\\""}'
    assert state.digest() == folded(schema("a\ud800", '"\ud800"')).digest()


TEXTS = st.sampled_from(['"int"', '"long"', '"string"', "no schema at all"])
SUBJECTS = st.sampled_from(["a", "b", "c"])
ENTRIES = st.lists(
    st.one_of(
        st.builds(schema, SUBJECTS, TEXTS),
        st.builds(lambda s: entry(LEVEL, subject=s, level="NONE"), SUBJECTS),
    ),
    max_size=30,
)


@given(ENTRIES)
def test_whoever_folds_the_same_entries_knows_the_same(entries: list[Entry]) -> None:
    assert folded(*entries).digest() == folded(*entries).digest()


@given(ENTRIES)
def test_an_id_never_changes_and_is_never_given_twice(entries: list[Entry]) -> None:
    state, seen = State(), dict[int, str]()
    for each in entries:
        state.apply(each)
        now = {number: str(state.text(number)) for number in range(1, state.last_id + 1)}
        assert len(set(now.values())) == len(now)
        assert seen.items() <= now.items()
        seen = now
