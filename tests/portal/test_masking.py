"""What of a payload is masked: by the contract's words, whatever the field's type."""

from collections.abc import Mapping
from typing import Any

import pytest

from bus.portal.masking import MASK, Masking

WORDS = {
    "id": "public",
    "note": "internal",
    "name": "confidential",
    "diagnosis": "restricted",
    "people": "public",
    "people[].birth": "restricted",
    "attributes": "internal",
    "attributes{}.secret": "confidential",
    "place": "public",
    "place<Address>.street": "restricted",
}


def masking(**given: Any) -> Masking:
    return Masking(**{"access": "restricted", "sensitivity": WORDS, **given})


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        pytest.param({"id": "1", "note": "n"}, {"id": "1", "note": "n"}, id="not sensitive"),
        pytest.param({"name": "Ada"}, {"name": MASK}, id="text"),
        pytest.param({"name": None}, {"name": MASK}, id="nothing is something, too"),
        pytest.param({"name": ""}, {"name": MASK}, id="empty"),
        pytest.param({"diagnosis": {"icd": "F32"}}, {"diagnosis": MASK}, id="record"),
        pytest.param({"diagnosis": [1, 2, 3]}, {"diagnosis": MASK}, id="array, and its length"),
        pytest.param({"diagnosis": {"Ada": 1}}, {"diagnosis": MASK}, id="map, and its names"),
        pytest.param({"diagnosis": b"\0"}, {"diagnosis": MASK}, id="bytes"),
        pytest.param(
            {"people": [{"birth": 1, "of": 2}, {"birth": None}]},
            {"people": [{"birth": MASK, "of": 2}, {"birth": MASK}]},
            id="field in an array",
        ),
        pytest.param(
            {"attributes": {"a": {"secret": 1, "open": 2}}},
            {"attributes": {"a": {"secret": MASK, "open": 2}}},
            id="field in a map",
        ),
        pytest.param(
            {"place": {"street": "A", "city": "B"}},
            {"place": {"street": MASK, "city": "B"}},
            id="field of a union's branch",
        ),
        pytest.param({"place": "elsewhere"}, {"place": "elsewhere"}, id="the other branch"),
        pytest.param({"forgotten": 1}, {"forgotten": MASK}, id="only older versions have it"),
        pytest.param({}, {}, id="empty record"),
        pytest.param(None, None, id="tombstone"),
    ],
)
def test_data_is_masked_by_the_contract_s_words(data: object, shown: object) -> None:
    assert masking().data(data) == shown


def test_what_is_masked_is_masked_whatever_is_inside() -> None:
    words = {"person": "restricted", "person.city": "public"}
    assert masking(sensitivity=words).data({"person": {"city": "Köln"}}) == {"person": MASK}


def test_an_open_contract_hides_nothing() -> None:
    free = masking(access="open", sensitivity={"id": "public"}, key=("id",))
    assert free.data({"id": "1", "gone": 2}) == {"id": "1", "gone": 2}
    assert free.key("1") == "1"
    assert not free.hides


def test_the_data_itself_is_left_as_it_is() -> None:
    data: Mapping[str, Any] = {"name": "Ada", "people": [{"birth": 1}]}
    masking().data(data)
    assert data == {"name": "Ada", "people": [{"birth": 1}]}


@pytest.mark.parametrize(
    ("fields", "key", "shown"),
    [
        pytest.param(("id",), "42", "42", id="not sensitive"),
        pytest.param(("id", "name"), "42:Ada", f"42:{MASK}", id="one part"),
        pytest.param(("name", "id"), "A%3Ab:42", f"{MASK}:42", id="escaped"),
        pytest.param(("id", "name"), "42", MASK, id="fewer parts than fields"),
        pytest.param(("id", "name"), "42:Ada:Lovelace", MASK, id="more parts than fields"),
        pytest.param(("unknown",), "42", MASK, id="a field without a word"),
    ],
)
def test_keys_are_made_of_fields(fields: tuple[str, ...], key: str, shown: str) -> None:
    assert masking(key=fields).key(key) == shown


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        pytest.param("id", "7", id="not sensitive"),
        pytest.param("name", MASK, id="sensitive"),
        pytest.param(None, MASK, id="nobody knows of what it is made"),
    ],
)
def test_a_subject_may_be_a_sensitive_field_s_value(field: str | None, shown: str) -> None:
    assert masking(subject=field).subject("7") == shown
    assert masking(subject=field).subject(None) is None
