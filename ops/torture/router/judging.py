"""What readers of feeds saw, held against what grants say. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

LATE_MS = 5_000
"""Milliseconds after its end in which something may still be written under a grant."""


class Told(NamedTuple):
    """A record on a recipient's feed that is no mark.

    Args:
        recipient: whose feed it is.
        partition, key: where it lies.
        at_ms: when the engine took it.
        event: its id.
        given: the fields that it gives; None for a tombstone.
        grants: the ids of the grants.
        state: of the journal.
        begun: how many snapshots of each of its grants were begun before it, in its partition.
    """

    recipient: str
    partition: int
    key: bytes
    at_ms: int
    event: str
    given: frozenset[str] | None
    grants: tuple[str, ...]
    state: str
    begun: tuple[int, ...]


class Said(NamedTuple):
    """An event on the shared topic.

    Args:
        partition, offset: where it lies.
        key: the source's.
        at_ms: when the engine took it.
        event: its id.
        cause: what grants' rows ask for.
        sealed: whether nobody is to hear of it.
    """

    partition: int
    offset: int
    key: bytes
    at_ms: int
    event: str
    cause: str
    sealed: bool


@dataclass(frozen=True)
class Given:
    """A grant as the campaign gave it.

    Args:
        id: as feeds name it.
        recipient: who gets it.
        fields: what it gives.
        cause: the only one of whose events it gives; all if None.
        begun_ms: when it was approved.
        ended_ms: when it was revoked; None if it was not.
    """

    id: str
    recipient: str
    fields: frozenset[str]
    cause: str | None
    begun_ms: int
    ended_ms: int | None = None

    def gives(self, event: Said) -> bool:
        """Whether its rows let an event through."""
        return not event.sealed and self.cause in (None, event.cause)


@dataclass
class Findings:
    """What was wrong; nothing if all is empty."""

    breaches: list[str] = field(default_factory=list)
    deliveries: int = 0
    withdrawals: int = 0

    def add(self, what: str) -> None:
        """Note a breach."""
        self.breaches.append(what)


def judged(
    said: Sequence[Said],
    told: Sequence[Told],
    grants: Sequence[Given],
    disclosed: Iterable[tuple[str, str]],
) -> Findings:
    """Hold what feeds have against what they should.

    Args:
        said: all events on the shared topic, by partition in order.
        told: all records of feeds, by recipient and partition in order.
        grants: all that were given.
        disclosed: recipient and event id of each disclosure.
    """
    found = Findings()
    found.deliveries = sum(one.given is not None for one in told)
    found.withdrawals = len(told) - found.deliveries
    _check_present(found, said, told, grants)
    _check_order(found, said, told)
    _check_late(found, told, grants)
    _check_missing(found, said, told, grants)
    written = Counter((one.recipient, one.event) for one in told)
    if written != (listed := Counter(disclosed)):
        untold, unmade = (written - listed).total(), (listed - written).total()
        found.add(f"{untold} deliveries are not disclosed, {unmade} disclosures are no deliveries")
    return found


def present(told: Sequence[Told]) -> dict[tuple[str, str], tuple[frozenset[str], tuple[str, ...]]]:
    """Return what feeds hold in the end: fields and grants by recipient and event."""
    last: dict[tuple[str, int, bytes], Told] = {}
    for one in told:
        last[one.recipient, one.partition, one.key] = one
    return {
        (one.recipient, one.event): (one.given, one.grants)
        for one in last.values()
        if one.given is not None
    }


def wanted(
    said: Sequence[Said], grants: Sequence[Given]
) -> dict[tuple[str, str], tuple[frozenset[str], tuple[str, ...]]]:
    """Return what feeds have to hold in the end."""
    last = {one.key: one for one in said}
    live = [grant for grant in grants if grant.ended_ms is None]
    found = {}
    for event in last.values():
        by_recipient: dict[str, list[Given]] = defaultdict(list)
        for grant in live:
            if grant.gives(event):
                by_recipient[grant.recipient].append(grant)
        for recipient, mine in by_recipient.items():
            fields = frozenset().union(*(grant.fields for grant in mine))
            found[recipient, event.event] = (fields, tuple(sorted(grant.id for grant in mine)))
    return found


def _check_present(
    found: Findings, said: Sequence[Said], told: Sequence[Told], grants: Sequence[Given]
) -> None:
    there, want = present(told), wanted(said, grants)
    for place in there.keys() | want.keys():
        if there.get(place) != want.get(place):
            found.add(f"{place}: feeds hold {there.get(place)}, not {want.get(place)}")


def _check_order(found: Findings, said: Sequence[Said], told: Sequence[Told]) -> None:
    offsets = {one.event: one.offset for one in said}
    last: dict[tuple[str, int, bytes], int] = {}
    seen: set[tuple[str, str, str, tuple[int, ...]]] = set()
    for one in told:
        if one.given is None:
            continue
        # A snapshot gives all that there is, once more if it was cut and started over.
        telling = (one.recipient, one.event, one.state, one.begun)
        if telling in seen:
            found.add(f"{one.recipient} has {one.event} twice under {one.state[:20]}")
        seen.add(telling)
        place = (one.recipient, one.partition, one.key)
        if offsets[one.event] < last.get(place, -1):
            found.add(f"{one.recipient}: {one.event} goes back to what was replaced")
        last[place] = offsets[one.event]


def _check_late(found: Findings, told: Sequence[Told], grants: Sequence[Given]) -> None:
    ended: Mapping[str, int] = {
        grant.id: grant.ended_ms for grant in grants if grant.ended_ms is not None
    }
    for one in told:
        for grant in one.grants if one.given is not None else ():
            late = one.at_ms - ended.get(grant, one.at_ms)
            if late > LATE_MS:
                found.add(f"{one.recipient} got {one.event} {late} ms after {grant} was revoked")


def _check_missing(
    found: Findings, said: Sequence[Said], told: Sequence[Told], grants: Sequence[Given]
) -> None:
    """Check that what came while a grant held that still holds was told, replaced or not."""
    got = {(one.recipient, one.event) for one in told if one.given is not None}
    for grant in grants:
        if grant.ended_ms is not None:
            continue
        for event in said:
            since = grant.begun_ms + LATE_MS
            is_due = event.at_ms > since and grant.gives(event)
            if is_due and (grant.recipient, event.event) not in got:
                found.add(f"{grant.recipient} never got {event.event}, granted by {grant.id}")
