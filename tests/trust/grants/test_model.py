"""Random grants and random events against a model that looks at every grant by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.trust.grants.book import Book
from bus.trust.grants.grant import grant_id
from bus.trust.grants.granting import ENDED, REVOKED, Step
from tests.trust.grants.parties import TOPIC, World, asked, decided, terms

OWNERS = [f"de.mun.{ars}" for ars in ("092720140140", "091620000000")]
RECIPIENTS = ["de.agency.finanzamt", "de.util.stadtwerke"]
AUTHORITIES = [("de.state.09", "09"), ("de.dist.09272", "09272")]
TOPICS = [TOPIC, TOPIC, TOPIC, "resident.name-changed.v1"]
FIELDS = ["cause", "new_address", "old_address", "valid_from"]
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3_600_000

TEXTS = st.sampled_from(["MOVE", "BIRTH", "MO", "2026-01-02", "2026-01-01T02:00:00Z", "1", ""])
NUMBERS = st.integers(-1, 3)
LITERALS = st.one_of(TEXTS, NUMBERS, st.booleans())
PATHS = st.sampled_from(["cause", "household", "valid_from", "new_address.street", "new_address"])
VALUES = st.one_of(
    TEXTS,
    NUMBERS,
    st.booleans(),
    st.none(),
    st.sampled_from([1.0, 2.5, float("nan"), ["MOVE"], b"MOVE", START.replace(tzinfo=None)]),
    st.sampled_from([date(2026, 1, 1), date(2026, 1, 2)]),
    st.sampled_from([START, START.replace(hour=2), START.replace(hour=3)]),
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "cause": VALUES,
        "household": VALUES,
        "valid_from": VALUES,
        "new_address": st.one_of(VALUES, st.fixed_dictionaries({}, optional={"street": VALUES})),
    },
)


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return conditions with one bound or two in their order."""
    both = st.tuples(bounds, bounds).filter(lambda pair: pair[0] < pair[1])
    return st.one_of(
        bounds.map(lambda low: {"from": low}),
        bounds.map(lambda high: {"to": high}),
        both.map(lambda pair: {"from": pair[0], "to": pair[1]}),
    )


ASKS = st.one_of(
    LITERALS.map(lambda one: {"is": one}),
    *[
        st.lists(kind, min_size=1, max_size=3, unique=True).map(lambda some: {"in": some})
        for kind in (TEXTS, NUMBERS, st.booleans())
    ],
    ranges(NUMBERS),
    ranges(st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03"])),
    ranges(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z"])),
    st.sampled_from(["M", "MO", "2026-01"]).map(lambda text: {"prefix": text}),
)
CONDITIONS = st.builds(lambda path, ask: {"field": path, **ask}, PATHS, ASKS)
HOURS = st.tuples(st.integers(0, 5), st.integers(1, 5)).map(lambda pair: (pair[0], sum(pair)))
GRANTS = st.fixed_dictionaries(
    {
        "owner": st.one_of(
            st.sampled_from(OWNERS).map(lambda member: {"member": member}),
            st.sampled_from(AUTHORITIES).map(lambda pair: {"authority": pair[0], "ars": pair[1]}),
        ),
        "recipient": st.sampled_from(RECIPIENTS),
        "topic": st.sampled_from(TOPICS),
        "fields": st.lists(st.sampled_from(FIELDS), min_size=1, unique=True).map(sorted),
        "rows": st.one_of(st.just([]), st.lists(CONDITIONS, max_size=3)),
        "hours": st.one_of(st.just((0, 11)), HOURS),
        "fate": st.sampled_from(["asked", "approved", "approved", "approved", REVOKED, ENDED]),
    }
)
EVENTS = st.fixed_dictionaries(
    {
        "topic": st.sampled_from(TOPICS),
        "owner": st.sampled_from(OWNERS),
        "values": DATA,
        "hour": st.integers(0, 10),
    }
)
A_GRANT: dict[str, Any] = {
    "owner": {"member": OWNERS[0]},
    "topic": TOPIC,
    "fields": ["cause"],
    "hours": (0, 10),
    "fate": "approved",
}
VALUES_EACH = [
    *("MOVE", "BIRTH", "MO", "2026-01-02", "2026-01-01T02:00:00Z", "1", "", "b1", "i1"),
    *(-1, 0, 1, 2, True, False, None, 1.0, 2.5, float("nan"), b"MOVE", ["MOVE"], {"MOVE": 1}),
    *(date(2026, 1, 1), date(2026, 1, 2), START, START.replace(hour=2), START.replace(tzinfo=None)),
    *(UUID("01890a5d-ac96-774b-bcce-b302099a8057"), "01890a5d-ac96-774b-bcce-b302099a8057"),
]
ASKS_EACH: list[dict[str, Any]] = [
    *({"is": one} for one in ("MOVE", "1", "", "2026-01-02", "2026-01-01T02:00:00Z", 1, 0)),
    *({"is": one} for one in (True, False, "01890a5d-ac96-774b-bcce-b302099a8057")),
    *({"in": some} for some in (["MOVE", "BIRTH"], [1, 2], [True, False], ["2026-01-01", "1"])),
    *({"prefix": text} for text in ("M", "MOV", "2026-01", "01890a5d")),
    *({"from": low} for low in (0, 2, "MO", "2026-01-02", "2026-01-01T02:00:00Z")),
    *({"to": high} for high in (0, 2, "MO", "2026-01-02", "2026-01-01T02:00:00Z")),
    *({"from": 0, "to": 2}, {"from": "2026-01-01", "to": "2026-01-02"}, {"from": "A", "to": "N"}),
]
INACTIVE = st.sets(st.sampled_from([*OWNERS, *RECIPIENTS, "de.state.09"]), max_size=1)


@given(st.lists(GRANTS, max_size=12), st.lists(EVENTS, min_size=1, max_size=6), INACTIVE)
@settings(max_examples=300)
def test_who_gets_what_is_what_the_model_says(
    grants: list[dict[str, Any]], events: list[dict[str, Any]], inactive: set[str]
) -> None:
    world = World(inactive=inactive, authorities={*AUTHORITIES})
    book, ids = Book(world), []
    for number, grant in enumerate(grants):
        ids.append(signed(book, grant, number))
    for event in sorted(events, key=lambda one: int(one["hour"])):
        owner, at_ms = event["owner"], at(event["hour"])
        ars = owner.rpartition(".")[2]
        book.expire(at_ms)
        found = book.match(event["topic"], owner, ars, event["values"], at_ms)
        assert {one.recipient: (set(one.fields), set(one.grants)) for one in found} == modelled(
            grants, ids, event, world
        )
        assert len({one.recipient for one in found}) == len(found)
        assert all(list(one.fields) == sorted(set(one.fields)) for one in found)


@pytest.mark.parametrize("value", VALUES_EACH, ids=repr)
@pytest.mark.parametrize("ask", ASKS_EACH, ids=str)
def test_each_condition_on_each_value(ask: dict[str, Any], value: object) -> None:
    """By the index where it can, and by the predicate: here, after a condition that it prefers."""
    values = {"new_address": {"street": value}, "cause": "MOVE"}
    row = {"field": "new_address.street", **ask}
    first = {"field": "cause", "is": "MOVE"}
    book = Book(World())
    alone = signed(book, {**A_GRANT, "rows": [row], "recipient": RECIPIENTS[0]}, 0)
    after = signed(book, {**A_GRANT, "rows": [first, row], "recipient": RECIPIENTS[1]}, 1)
    found = book.match(TOPIC, OWNERS[0], "092720140140", values, at(1))
    wanted = [(alone,), (after,)] if holds(row, values) else []
    assert [one.grants for one in found] == wanted


def at(hour: int) -> int:
    return int(START.timestamp()) * 1000 + hour * HOUR


def signed(book: Book, grant: Mapping[str, Any], number: int) -> bytes:
    """Have a grant asked for and become what it is to become; return its id."""
    first, last = (datetime.fromtimestamp(at(hour) / 1000, UTC) for hour in grant["hours"])
    said = terms(
        **{name: grant[name] for name in ("owner", "recipient", "topic", "fields", "rows")},
        from_=f"{first.isoformat()[:-6]}Z",
        to=f"{last.isoformat()[:-6]}Z",
    )
    request = asked(said, number=number, at_ms=0)
    whose = grant["owner"].get("member") or grant["owner"]["authority"]
    steps = [request]
    if grant["fate"] != "asked":
        steps.append(decided(request, by=whose, at_ms=0))
    if grant["fate"] in (REVOKED, ENDED):
        by = whose if grant["fate"] == REVOKED else grant["recipient"]
        steps.append(decided(request, grant["fate"], by=by, at_ms=0))
    for step in steps:
        assert isinstance(book.apply(step), Step)
    return grant_id(request.digest)


def modelled(
    grants: list[dict[str, Any]], ids: list[bytes], event: Mapping[str, Any], world: World
) -> dict[str, tuple[set[str], set[bytes]]]:
    """Return who gets which fields under which grants, by looking at every grant."""
    found: dict[str, tuple[set[str], set[bytes]]] = {}
    for grant, name in zip(grants, ids, strict=True):
        owner, recipient = grant["owner"], grant["recipient"]
        if "member" in owner:
            is_about = owner["member"] == event["owner"]
        else:
            is_about = event["owner"].rpartition(".")[2].startswith(owner["ars"])
        decides = owner.get("member") or owner["authority"]
        if (
            is_about
            and grant["fate"] == "approved"
            and grant["topic"] == event["topic"]
            and grant["hours"][0] <= event["hour"] < grant["hours"][1]
            and not world.inactive & {decides, recipient}
            and all(holds(row, event["values"]) for row in grant["rows"])
        ):
            fields, names = found.setdefault(recipient, (set(), set()))
            fields.update(grant["fields"])
            names.add(name)
    return found


def holds(row: Mapping[str, Any], values: Any) -> bool:
    """Whether a condition as JSON holds, asked the long way."""
    value = values
    for part in row["field"].split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if "is" in row:
        return equal(row["is"], value)
    if "in" in row:
        return any(equal(one, value) for one in row["in"])
    if "prefix" in row:
        return isinstance(value, str) and value[: len(row["prefix"])] == row["prefix"]
    for name in ("from", "to"):
        if name in row:
            bound = as_one_like(row[name], value)
            if bound is None or not (bound <= value if name == "from" else value < bound):
                return False
    return True


def equal(literal: Any, value: Any) -> bool:
    if isinstance(value, float):
        return False
    found = as_one_like(literal, value)
    return found is not None and found == value


def as_one_like(literal: Any, value: Any) -> Any:
    """Return a literal as what a value is; None if it cannot be that."""
    if isinstance(literal, bool) or isinstance(value, bool):
        return literal if isinstance(literal, bool) and isinstance(value, bool) else None
    if isinstance(literal, int):
        return literal if isinstance(value, int | float) else None
    if isinstance(value, str):
        return literal
    if isinstance(value, datetime):
        is_instant = literal.endswith("Z") and value.tzinfo is not None
        return datetime.fromisoformat(literal) if is_instant else None
    if isinstance(value, UUID):
        return UUID(literal) if len(literal) == 36 else None
    if isinstance(value, date):
        is_day = len(literal) == 10 and literal[4] == "-"
        return date.fromisoformat(literal) if is_day else None
    return None
