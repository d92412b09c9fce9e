"""Forgeries made by hand: what somebody might write who has no key, and how each is refused."""

from typing import NamedTuple

from bus.trust.leaves import KEY
from bus.trust.reasons import Reason
from tests.trust.events import SEED, STRANGER, Written, envelope, giving, on_a_feed, whole, written
from tests.trust.samples import PROJECTION, event, tombstone


class Forgery(NamedTuple):
    """A record that must not verify.

    Args:
        name: what was done.
        record: the record.
        reason: why it is refused.
        is_part: whether it lies on a feed.
    """

    name: str
    record: Written
    reason: str
    is_part: bool = False


def having(record: Written, **values: bytes | None) -> Written:
    """Return a record with other headers: underscores stand for dashes, None takes one away."""
    headers = dict(record.headers)
    for name, value in values.items():
        wire = name if name.startswith("ce_") else name.replace("_", "-")
        if value is None:
            headers.pop(wire)
        else:
            headers[wire] = value
    return record._replace(headers=list(headers.items()))


def of(record: Written, name: str) -> bytes:
    """Return a header's value."""
    return dict(record.headers)[name]


def forgeries() -> list[Forgery]:
    """Return them all."""
    return [*_of_whole_events(), *_of_tombstones(), *_of_parts()]


def _of_whole_events() -> list[Forgery]:
    true, other = event(), written(PROJECTION, event().data, key=b"092720140140:2")
    signature = of(true, "stadtbus-signature")
    strange = written(PROJECTION, true.data, key=true.key, signer=STRANGER)
    renamed = signature[:1] + of(strange, "stadtbus-signature")[1:17] + signature[17:]
    earlier = signature[:17] + (0).to_bytes(8, "big") + signature[25:]
    twice = true._replace(headers=[*true.headers, ("ce_id", of(true, "ce_id"))])
    table = [
        ("unsigned", having(true, stadtbus_signature=None), Reason.UNSIGNED),
        ("no salts", having(true, stadtbus_salts=None), Reason.MALFORMED),
        ("salts too short", having(true, stadtbus_salts=b"\1" + SEED[1:]), Reason.MALFORMED),
        ("chosen salts", having(true, stadtbus_salts=b"\2" + SEED), Reason.MALFORMED),
        ("another seed", having(true, stadtbus_salts=b"\1" + bytes(32)), Reason.ALTERED),
        ("signature cut off", having(true, stadtbus_signature=signature[:-1]), Reason.MALFORMED),
        ("of version 2", having(true, stadtbus_signature=b"\2" + signature[1:]), Reason.MALFORMED),
        ("signature of another event", _with_signature(true, other), Reason.ALTERED),
        ("another's key named", having(true, stadtbus_signature=renamed), Reason.WRONG_KEY),
        ("signed earlier", having(true, stadtbus_signature=earlier), Reason.ALTERED),
        ("a header twice", twice, Reason.MALFORMED),
        ("a header more", having(true, ce_note=b"x"), Reason.UNCOVERED),
        ("a municipality beside", having(true, stadtbus_municipality=b"1"), Reason.UNCOVERED),
        ("from another source", _from_another(true), Reason.ALTERED),
        ("of another time", having(true, ce_time=b"2026-07-02T00:00:00Z"), Reason.ALTERED),
        ("without its subject", having(true, ce_subject=None), Reason.ALTERED),
        ("with an empty subject", having(true, ce_subject=b""), Reason.ALTERED),
        ("under another key", true._replace(key=b"092720140140:2"), Reason.ALTERED),
        ("for another topic", having(true, ce_type=b"resident.other.v1"), Reason.OTHER_TOPIC),
        ("as a tombstone", true._replace(data=None), Reason.MALFORMED),
    ]
    return [Forgery(*row) for row in table]


def _of_tombstones() -> list[Forgery]:
    true = tombstone()
    table = [
        ("of another municipality", having(true, stadtbus_municipality=b"1"), Reason.ALTERED),
        ("of no municipality", having(true, stadtbus_municipality=None), Reason.MALFORMED),
        ("of another subject", having(true, ce_subject=b"2"), Reason.ALTERED),
        ("of another key", true._replace(key=b"092720140140:2"), Reason.ALTERED),
        ("unsigned", having(true, stadtbus_signature=None), Reason.UNSIGNED),
        ("an event's signature", _with_signature(true, event()), Reason.ALTERED),
    ]
    return [Forgery(f"tombstone {name}", record, reason) for name, record, reason in table]


def _of_parts() -> list[Forgery]:
    signed = whole(event(), PROJECTION)
    true = on_a_feed(giving(signed, PROJECTION, (KEY, "id", "day", "either")))
    more = on_a_feed(giving(signed, PROJECTION, (KEY, "id", "day", "either", "count")))
    none = on_a_feed(giving(signed, PROJECTION, ()))
    digests, salts = of(true, "stadtbus-digests"), of(true, "stadtbus-salts")
    withheld = of(true, "stadtbus-withheld").decode()
    swapped = digests[32:64] + digests[:32] + digests[64:]
    table: list[tuple[str, Written, Reason]] = [
        ("digests swapped", having(true, stadtbus_digests=swapped), Reason.ALTERED),
        ("a digest missing", having(true, stadtbus_digests=digests[32:]), Reason.MALFORMED),
        ("a salt missing", having(true, stadtbus_salts=salts[:-16]), Reason.MALFORMED),
        ("a seed for salts", having(true, stadtbus_salts=b"\1" + SEED), Reason.MALFORMED),
        ("salts swapped", having(true, stadtbus_salts=_swapped(salts)), Reason.ALTERED),
        ("a value where none was given", true._replace(data=more.data), Reason.ALTERED),
        ("no value where one was given", more._replace(data=true.data), Reason.ALTERED),
        ("a value of another event", true._replace(data=_of_another()), Reason.ALTERED),
        ("another key", true._replace(key=b"092720140140:2"), Reason.ALTERED),
        ("withheld is unsaid", having(true, stadtbus_withheld=b""), Reason.ALTERED),
        (
            "withheld in another order",
            having(true, stadtbus_withheld=",".join(reversed(withheld.split(","))).encode()),
            Reason.MALFORMED,
        ),
        (
            "withheld twice",
            having(true, stadtbus_withheld=f"{withheld},sealed".encode()),
            Reason.MALFORMED,
        ),
        (
            "withheld is no part of it",
            having(true, stadtbus_withheld=f"{withheld},other".encode()),
            Reason.MALFORMED,
        ),
        ("nothing given, another id", having(none, ce_id=b"x"), Reason.ALTERED),
        ("unsigned", having(true, stadtbus_signature=None), Reason.UNSIGNED),
        ("another source", _from_another(true), Reason.ALTERED),
    ]
    return [
        Forgery(f"part: {name}", record, reason, is_part=True) for name, record, reason in table
    ]


def _with_signature(record: Written, other: Written) -> Written:
    return having(record, stadtbus_signature=of(other, "stadtbus-signature"))


def _from_another(record: Written) -> Written:
    return having(record, ce_source=b"urn:stadtbus:de.mun.092720120120.meldewesen")


def _swapped(salts: bytes) -> bytes:
    return salts[:1] + salts[17:33] + salts[1:17] + salts[33:]


def _of_another() -> bytes | None:
    """Return the same part's value of an event that says something else."""
    data = event().data or b""
    other = written(PROJECTION, b"\x022" + data[2:], headers=envelope("1"))
    return on_a_feed(giving(whole(other, PROJECTION), PROJECTION, ("id", "day", "either"))).data
