"""What is inferred from two snapshots, and that it always leads from the one to the other."""

from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.address_register.difference import Change, Kind, apply, difference
from producers.address_register.snapshot import Location, Row

AREA = "01100309"


def row(text: str, *, postcode: str = "10115", place: str = "Mitte", area: str = AREA) -> Row:
    """Return the address of a text such as ``Ackerstraße 1 A``."""
    street, number, suffix = [*text.split(" "), "", ""][:3]
    return Row(Location(street, number, suffix, postcode, place), area)


def rows(*texts: str) -> list[Row]:
    return [row(text) for text in texts]


def numbered(addresses: Iterable[Row]) -> dict[str, Row]:
    return {f"id-{n}": address for n, address in enumerate(addresses)}


def identify() -> object:
    numbers = count()
    return lambda location: f"new-{next(numbers)}"


def told(changes: Iterable[Change]) -> set[tuple[str, str, str]]:
    """Return the changes as kind, address before and address after."""

    def text(address: Row | None) -> str:
        return " ".join(part for part in address.location[:3] if part) if address else ""

    return {
        (
            change.kind,
            text(change.before),
            "" if change.kind is Kind.WITHDRAWN else text(change.row),
        )
        for change in changes
    }


RULES = [
    pytest.param([], rows("A 1", "A 2"), {("REGISTERED", "", "A 1"), ("REGISTERED", "", "A 2")},
                 id="the first snapshot registers every address"),
    pytest.param(rows("A 1"), rows("A 1"), set(), id="the same snapshot again: nothing happened"),
    pytest.param(rows("A 1", "A 2"), rows("A 2"), {("WITHDRAWN", "A 1", "")},
                 id="a number that is gone was withdrawn"),
    pytest.param(rows("A 1", "A 2"), rows("B 1", "B 2"),
                 {("RENAMED", "A 1", "B 1"), ("RENAMED", "A 2", "B 2")},
                 id="a street gone, another with the same numbers: renamed"),
    pytest.param(rows("A 1", "A 2"), rows("B 1", "B 3"),
                 {("WITHDRAWN", "A 1", ""), ("WITHDRAWN", "A 2", ""),
                  ("REGISTERED", "", "B 1"), ("REGISTERED", "", "B 3")},
                 id="a street gone, another with other numbers: not renamed"),
    pytest.param(rows("A 1", "A 2", "A 3"), rows("A 3", "B 1", "B 2"),
                 {("WITHDRAWN", "A 1", ""), ("WITHDRAWN", "A 2", ""),
                  ("REGISTERED", "", "B 1"), ("REGISTERED", "", "B 2")},
                 id="part of a street gone: not renamed"),
    pytest.param(rows("A 1", "C 1"), rows("B 1", "D 1"),
                 {("WITHDRAWN", "A 1", ""), ("WITHDRAWN", "C 1", ""),
                  ("REGISTERED", "", "B 1"), ("REGISTERED", "", "D 1")},
                 id="two streets gone, two alike came: ambiguous, not renamed"),
    pytest.param(rows("A 1", "A 2", "B 9"), rows("B 9", "B 1", "B 2"),
                 {("WITHDRAWN", "A 1", ""), ("WITHDRAWN", "A 2", ""),
                  ("REGISTERED", "", "B 1"), ("REGISTERED", "", "B 2")},
                 id="the other street was there before: not renamed"),
    pytest.param(rows("Platz"), rows("Markt"), {("RENAMED", "Platz", "Markt")},
                 id="a square without numbers is renamed like a street"),
    pytest.param(rows("A 1", "A 2"), rows("A 2", "A 4"), {("RENUMBERED", "A 1", "A 4")},
                 id="one number gone, one new in the same street: renumbered"),
    pytest.param(rows("A 1", "A 2"), rows("A 2", "A 1 A"), {("RENUMBERED", "A 1", "A 1 A")},
                 id="a number gets a suffix: renumbered"),
    pytest.param(rows("A 1", "A 2"), rows("A 2", "A 1 A", "A 1 B"),
                 {("WITHDRAWN", "A 1", ""), ("REGISTERED", "", "A 1 A"),
                  ("REGISTERED", "", "A 1 B")},
                 id="one number gone, two new: ambiguous, not renumbered"),
    pytest.param([row("A 1"), row("A 2")], [row("A 2"), row("A 3", area="other")],
                 {("WITHDRAWN", "A 1", ""), ("REGISTERED", "", "A 3")},
                 id="one gone, one new in another area: not renumbered"),
    pytest.param([row("A 1")], [row("A 1", postcode="10117")], {("REASSIGNED", "A 1", "A 1")},
                 id="another postcode for the same address: reassigned"),
    pytest.param([row("A 1")], [row("A 1", place="Wedding")], {("REASSIGNED", "A 1", "A 1")},
                 id="another place for the same address: reassigned"),
    pytest.param([row("A 1")], [row("A 1", area="other")], set(),
                 id="only the statistical area changed: no event, no contract has it"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), RULES)
def test_what_is_inferred(
    before: list[Row], after: list[Row], expected: set[tuple[str, str, str]]
) -> None:
    changes = difference(numbered(before), after, identify())  # type: ignore[arg-type]
    assert told(changes) == expected


def test_an_address_keeps_its_id_through_renaming_and_renumbering() -> None:
    known = numbered(rows("A 1", "A 2"))
    renamed = apply(difference(known, rows("B 1", "B 2"), str), known)
    renumbered = apply(difference(renamed, rows("B 1", "B 4"), str), renamed)
    assert {key: at.location.number for key, at in renumbered.items()} == {"id-0": "1", "id-1": "4"}


LOCATIONS = st.builds(
    lambda street, number, postcode, area: row(f"{street} {number}", postcode=postcode, area=area),
    st.sampled_from("ABC"),
    st.sampled_from("1234"),
    st.sampled_from(["10115", "10117"]),
    st.sampled_from(["x", "y"]),
)
SNAPSHOTS = st.lists(LOCATIONS, unique_by=lambda at: at.location, max_size=12)


@given(SNAPSHOTS, SNAPSHOTS)
def test_the_difference_leads_from_one_snapshot_to_the_other(a: list[Row], b: list[Row]) -> None:
    numbers = count()
    known = numbered(a)
    changes = difference(known, b, lambda location: f"new-{next(numbers)}")
    after = apply(changes, known)
    assert {at.location for at in after.values()} == {at.location for at in b}
    assert len(after) == len(b), "no address twice"
    assert len({change.address for change in changes}) == len(changes), (
        "one change for each address"
    )


@given(SNAPSHOTS)
def test_nothing_differs_from_itself(snapshot: list[Row]) -> None:
    assert difference(numbered(snapshot), snapshot, str) == ()
