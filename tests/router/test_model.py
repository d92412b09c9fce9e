"""Random grants and random events against a model: no leak, nothing missing, no field too many.

Grants come from a real book, events are signed and read back as a recipient reads them. The model
looks at every grant by hand. What can be recognised of an event has a value of its own, so that it
is found wherever it slips through.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.contracts import Contract
from bus.disclosures import Disclosure
from bus.event import partition_of
from bus.kafka import Fetched
from bus.router.routing import Write
from bus.trust.grants.book import Book
from bus.trust.grants.grant import grant_id
from bus.trust.grants.granting import REVOKED, Step
from bus.trust.grants.parties import Verified
from tests.router.feeds import Seen, seen
from tests.router.town import (
    PORTAL,
    STATISTICS,
    TAX,
    WATER,
    P,
    R,
    Town,
    begun,
    cases,
    people,
    residents,
)
from tests.trust.grants.parties import AUTHORITY, World, asked, decided, terms
from tests.trust.parties import PERLESREUT, RINGELAI, Parties

RECIPIENTS = (TAX, WATER, STATISTICS)
OWNERS = {R: RINGELAI, P: PERLESREUT}
Data = Mapping[str, Any]

ROWS: list[tuple[dict[str, Any], Callable[[Data], bool]]] = [
    ({"field": "cause", "is": "MOVE"}, lambda d: d["cause"] == "MOVE"),
    ({"field": "cause", "in": ["BIRTH", "DEATH"]}, lambda d: d["cause"] in ("BIRTH", "DEATH")),
    ({"field": "municipality", "prefix": P[:8]}, lambda d: d["municipality"] == P),
    ({"field": "valid_from", "from": "2026-07-02"}, lambda d: d["valid_from"].day >= 2),
    ({"field": "household", "is": "s3cret-household-1"}, lambda d: "-1" in (d["household"] or "")),
    (
        {"field": "new_address.street", "prefix": "s3cret-new-street-1"},
        lambda d: d["new_address"] is not None and d["new_address"]["street"].endswith("-1"),
    ),
]
NAMES = [field["name"] for field in cases().versions[0]["fields"]]


def address(which: str, number: int) -> dict[str, Any]:
    texts = {part: f"s3cret-{which}-{part}-{number}" for part in ("street", "postcode", "place")}
    return {**texts, "number": f"s3cret-{which}-number-{number}", "suffix": None}


def event(person: int, number: int, ars: str, cause: str, none: set[str], sealed: bool) -> Data:
    """Return an event; what may be missing is, where `none` says so."""
    data = {
        "register": "s3cret-register",
        "pseudonym": f"s3cret-person-{person}",
        "municipality": ars,
        "cause": cause,
        "valid_from": date(2026, 7, number),
        "old_municipality": f"s3cret-old-municipality-{number}",
        "new_municipality": f"s3cret-new-municipality-{number}",
        "old_address": address("old", number),
        "new_address": address("new", number),
        "household": f"s3cret-household-{number}",
        "corrects": f"s3cret-corrects-{number}",
        "sealed": sealed,
        "case": f"s3cret-case-{person}",
    }
    return {name: None if name in none else value for name, value in data.items()}


NULLABLE = st.sets(
    st.sampled_from(["old_municipality", "old_address", "new_address", "household", "corrects"]),
    max_size=2,
)
EVENTS = st.builds(
    event,
    st.integers(1, 2),
    st.integers(1, 3),
    st.sampled_from([R, R, P]),
    st.sampled_from(["MOVE", "MOVE", "DEATH", "REFORM"]),
    NULLABLE,
    st.sampled_from([False, False, False, True]),
)
GRANTS = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(
            [{"member": RINGELAI}, {"member": PERLESREUT}, {"authority": AUTHORITY, "ars": "09"}]
        ),
        "recipient": st.sampled_from(RECIPIENTS),
        "fields": st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(sorted),
        "rows": st.lists(st.integers(0, len(ROWS) - 1), max_size=2, unique=True),
        "approved": st.sampled_from([True, True, False]),
    }
)
STEPS = st.one_of(
    EVENTS,
    EVENTS,
    EVENTS,
    st.tuples(st.just("end"), st.integers(1, 2)),
    st.tuples(st.sampled_from(["approve", "revoke"]), st.integers(0, 5)),
)


class View(NamedTuple):
    """What the model says that a recipient has of a key."""

    event: bytes
    fields: frozenset[str]
    data: Data
    grants: frozenset[str]


class Model:
    """Who has what, by looking at every grant."""

    def __init__(self, grants: list[dict[str, Any]], ids: list[bytes]) -> None:
        self.grants, self.ids = grants, ids
        self.live: set[int] = set()
        self.last: dict[bytes, tuple[Fetched, Data]] = {}
        self.views: dict[tuple[str, bytes], View] = {}

    def who_gets(self, data: Data, id_: bytes) -> dict[str, View]:
        """Return who gets what of an event."""
        fields: dict[str, set[str]] = {}
        ids: dict[str, set[str]] = {}
        for number in self.live if not data["sealed"] else ():
            grant = self.grants[number]
            owner = grant["owner"]
            of_owner = owner.get("member") in (None, OWNERS[data["municipality"]])
            if of_owner and all(ROWS[row][1](data) for row in grant["rows"]):
                fields.setdefault(grant["recipient"], set()).update(grant["fields"])
                ids.setdefault(grant["recipient"], set()).add(self.ids[number].hex())
        return {
            recipient: View(id_, frozenset(names), data, frozenset(ids[recipient]))
            for recipient, names in fields.items()
        }

    def settle(self) -> None:
        """Give everybody what their grants give of each key's last event."""
        self.views = {
            (recipient, key): view
            for key, (record, data) in self.last.items()
            for recipient, view in self.who_gets(data, dict(record.headers)["ce_id"]).items()
        }


class Feeds:
    """All feeds as they lie after compaction, and what was seen on the way."""

    def __init__(self, town: Town) -> None:
        self._town, self._public = town, town.parties.key(PORTAL).public
        self.kept: dict[tuple[str, int, bytes | None], Seen] = {}

    def write(self, writes: list[Write]) -> list[Seen]:
        found = [seen(write, self._town.projection, self._public) for write in writes]
        for one in found:
            place = (one.recipient, one.record.partition, one.record.key)
            if one.data is None:
                assert self.kept.pop(place, None) is not None, "nobody had what was taken back"
            else:
                self.kept[place] = one
        return found


@lru_cache(1)  # who is who stays as it is
def parties() -> Parties:
    return people()


@pytest.mark.slow
@given(
    st.sampled_from([residents, cases]),
    st.lists(GRANTS, min_size=1, max_size=6),
    st.lists(STEPS, min_size=1, max_size=8),
)
@settings(max_examples=1000, deadline=None)
def test_feeds_hold_what_the_model_says(
    which: Callable[[], Contract], grants: list[dict[str, Any]], steps: list[Any]
) -> None:
    town = begun(which(), parties())
    there = set(town.projection.names)
    for grant in grants:
        grant["fields"] = [name for name in grant["fields"] if name in there] or ["cause"]
    book, requests = Book(World()), list(asking(grants, town.now))
    model = Model(grants, [grant_id(request.digest) for request in requests])
    feeds = Feeds(town)
    for request in requests:
        assert isinstance(book.apply(request), Step)
    town.grant(book)
    for number, grant in enumerate(grants):
        if grant["approved"]:
            approve(book, model, requests[number], number)
    for step in steps:
        if isinstance(step, tuple):
            what, number = step
            if what == "end":
                end(town, model, feeds, number)
            elif number < len(grants):
                change = approve if what == "approve" else revoke
                change(book, model, requests[number], number)
                brought_in_step(town, model, feeds)
        else:
            data = {name: value for name, value in step.items() if name in there}
            routed(town, model, feeds, data)
        check_feeds(town, model, feeds)


def asking(grants: list[dict[str, Any]], at_ms: int) -> Iterator[Verified]:
    for number, grant in enumerate(grants):
        said = {name: grant[name] for name in ("owner", "recipient", "fields")}
        rows = [ROWS[row][0] for row in grant["rows"]]
        yield asked(terms(**said, rows=rows), number=number, at_ms=at_ms)


def approve(book: Book, model: Model, request: Verified, number: int) -> None:
    owner = model.grants[number]["owner"]
    by = owner.get("member") or owner["authority"]
    if isinstance(book.apply(decided(request, by=by, at_ms=request.at_ms)), Step):
        model.live.add(number)


def revoke(book: Book, model: Model, request: Verified, number: int) -> None:
    if number not in model.live:
        return
    owner = model.grants[number]["owner"]
    by = owner.get("member") or owner["authority"]
    assert isinstance(book.apply(decided(request, REVOKED, by=by, at_ms=request.at_ms)), Step)
    model.live.remove(number)


def brought_in_step(town: Town, model: Model, feeds: Feeds) -> None:
    """Withdraw what was sent under grants that ended, and tell what there is of each key."""
    for key in town.sent:
        if (found := town.route.withdraw(key, town.now)) is not None:
            town.keep(key, found.held)
            views = feeds.write(found.writes)
            assert all(one.data is None for one in views)
            check_disclosures(found.disclosures, views)
    model.settle()
    for key, (record, data) in model.last.items():
        if (told := town.route.renew(record, (), town.now)) is not None:
            town.keep(key, told.held)
            views = feeds.write(told.writes)
            check_disclosures(told.disclosures, views)
            for view in views:
                want = model.views[view.recipient, key]
                check_view(town, view, want)
                check_nothing_slips(town, view, record, want.fields, data)
        assert town.route.renew(record, (), town.now) is None


def end(town: Town, model: Model, feeds: Feeds, person: int) -> None:
    subject = f"s3cret-person-{person}"
    about = subject if town.contract is residents() else f"s3cret-case-{person}"
    record = town.record(None, key=f"s3cret-register:{about}", subject=subject)
    had = {recipient for recipient, key in model.views if key == record.key}
    passed = town.passed(record)
    views = feeds.write([*passed.writes])
    assert {one.recipient for one in views} == had
    for view in views:
        check_nothing_slips(town, view, record, known(town, model, view, record), {})
    check_disclosures(passed.disclosures, views)
    model.last.pop(record.key or b"", None)
    model.settle()


def routed(town: Town, model: Model, feeds: Feeds, data: Data) -> None:
    record = town.record(data)
    passed = town.passed(record)
    id_ = dict(record.headers)["ce_id"]
    wanted = model.who_gets(data, id_)
    had = {recipient for recipient, key in model.views if key == record.key}
    views = feeds.write([*passed.writes])
    given_to = [one for one in views if one.data is not None]
    assert sorted(one.recipient for one in given_to) == sorted(wanted)
    ended = {one.recipient for one in views if one.data is None}
    assert had - wanted.keys() <= ended <= had
    for view in given_to:
        want = wanted[view.recipient]
        check_view(town, view, want)
        check_nothing_slips(town, view, record, want.fields, data)
        assert set(view.grants) == want.grants
    for view in views:
        assert view.record.partition == record.partition
        if view.data is None:
            check_nothing_slips(town, view, record, known(town, model, view, record), data)
    check_disclosures(passed.disclosures, views)
    model.last[record.key or b""] = (record, data)
    model.settle()


def known(town: Town, model: Model, view: Seen, record: Fetched) -> frozenset[str]:
    """Return what a tombstone may name: the key that its recipient had, if it had that."""
    before = model.views[view.recipient, record.key or b""]
    key = frozenset(town.contract.key)
    return key if before.fields - {"pseudonym"} >= key else frozenset()


def check_view(town: Town, view: Seen, want: View) -> None:
    """Check that a recipient sees what the model says, and nothing else."""
    own = want.fields - {"pseudonym"}
    assert view.data == {
        name: want.data[name] if name in own else None for name in town.projection.names
    }
    key = {"@key"} if own >= set(town.contract.key) else set()
    assert view.given == own | key
    assert ("ce_subject" in view.headers) == ("pseudonym" in want.fields)
    assert view.headers["ce_id"] == want.event


def check_nothing_slips(
    town: Town, view: Seen, record: Fetched, fields: frozenset[str], data: Data
) -> None:
    """Check that nothing of an event is in a record that its recipient is not granted."""
    names = [name.encode() for name, _ in view.record.headers]
    values = [value for _, value in view.record.headers]
    everything = b"\n".join([view.record.key or b"", view.record.value or b"", *names, *values])
    seed = dict(record.headers)["stadtbus-salts"][1:]
    secrets = [seed, b"s3cret-seq", b"s3cret-person", b"5ec3e7"]
    for name, value in data.items():
        if name not in fields:
            secrets += [text.encode() for text in texts_of(value)]
    if not fields - {"pseudonym"} >= set(town.contract.key):
        secrets.append(record.key or b"")
    secrets += [other.encode() for other in RECIPIENTS if other != view.recipient]
    for secret in secrets:
        assert secret not in everything, secret
        assert secret.hex().encode() not in everything, secret


def texts_of(value: Any) -> Iterator[str]:
    """Yield the texts in a value by which it can be recognised."""
    if isinstance(value, Mapping):
        for one in value.values():
            yield from texts_of(one)
    elif isinstance(value, str) and len(value) >= 12:
        yield value


def check_disclosures(told: Sequence[Disclosure], views: list[Seen]) -> None:
    """Check that each record is disclosed, as what it is."""
    found = {(one.event, one.recipient): one for one in told}
    assert len(told) == len(views) == len(found)
    for view in views:
        one = found[view.headers["ce_id"].decode(), view.recipient]
        assert one.subject.startswith("s3cret-person-")
        assert [grant.hex() for grant in one.grants] == sorted(view.grants) == view.grants
        own = view.given - {"@key"}
        assert set(one.fields) - {"pseudonym"} == own
        assert ("pseudonym" in one.fields) == ("ce_subject" in view.headers)
        assert one.purposes == ("tax",)


def check_feeds(town: Town, model: Model, feeds: Feeds) -> None:
    """Check that what lies in the compacted feeds is what the model's recipients have."""
    kept = [
        (one.recipient, one.headers["ce_id"], one.record.partition) for one in feeds.kept.values()
    ]
    assert sorted(kept) == sorted(
        (recipient, view.event, partition_of(key.decode(), town.contract.partitions))
        for (recipient, key), view in model.views.items()
    )
    held = {(recipient, key) for key, one in town.sent.items() for recipient in one.feeds}
    assert held == model.views.keys()
