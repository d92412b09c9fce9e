"""The router's word for a record of a feed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bus.errors import NotVerified
from bus.kafka import Fetched, Record
from bus.trust.attestation import ATTESTATION, attested, check_attestation
from bus.trust.signer import verifies
from tests.trust.parties import signer
from tests.trust.vectors import FILE

VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
FEED, ROUTER = "feed.de.util.a.resident.address-changed.v1", signer(5)
MOMENT = 1_782_864_000_000
RECORD = Record(b"key", b"value", [("ce_id", b"1"), ("stadtbus-grant", b"ab"), ("ce_type", b"t")])


def read(record: Record) -> Fetched:
    return Fetched(FEED, 2, 41, 0, record.key, record.value, record.headers)


@pytest.mark.parametrize("value", [b"value", b"", None])
def test_what_the_router_wrote_verifies(value: bytes | None) -> None:
    written = read(attested(ROUTER, FEED, 2, RECORD._replace(value=value), MOMENT))
    mark = check_attestation(written, ROUTER.public)
    assert (mark.key_id, mark.at_ms) == (ROUTER.key_id, MOMENT)
    backwards = written._replace(headers=[*reversed(written.headers)])
    assert check_attestation(backwards, ROUTER.public) == mark
    assert check_attestation(written._replace(offset=7), ROUTER.public) == mark


def _headers(*headers: tuple[str, bytes]) -> Callable[[Fetched], Fetched]:
    return lambda r: r._replace(headers=[*headers, *[p for p in r.headers if p[0] == ATTESTATION]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r._replace(topic=FEED.replace("util.a", "util.b")), "altered"),
        (lambda r: r._replace(partition=1), "altered"),
        (lambda r: r._replace(key=b"other"), "altered"),
        (lambda r: r._replace(key=None), "altered"),
        (lambda r: r._replace(value=b"other"), "altered"),
        (lambda r: r._replace(value=None), "altered"),
        (lambda r: r._replace(value=b""), "altered"),
        (lambda r: r._replace(headers=[*r.headers, ("x", b"")]), "altered"),
        (_headers(("ce_id", b"1"), ("stadtbus-grant", b"ab")), "altered"),
        (_headers(("ce_id", b"1"), ("stadtbus-grant", b"ac"), ("ce_type", b"t")), "altered"),
        (_headers(("ce_id", b"1s"), ("tadtbus-grant", b"ab"), ("ce_type", b"t")), "altered"),
        (_headers(*RECORD.headers, ("ce_id", b"1")), "malformed-signature"),
        (lambda r: r._replace(headers=RECORD.headers), "unsigned"),
        (lambda r: r._replace(headers=[(ATTESTATION, b"\1")]), "malformed-signature"),
    ],
)
def test_what_was_altered_or_moved_does_not(
    change: Callable[[Fetched], Fetched], reason: str
) -> None:
    written = read(attested(ROUTER, FEED, 2, RECORD, MOMENT))
    with pytest.raises(NotVerified) as refused:
        check_attestation(change(written), ROUTER.public)
    assert refused.value.reason == reason


@pytest.mark.parametrize("vector", VECTORS["attested"], ids=lambda vector: str(vector["name"]))
def test_vectors_verify(vector: dict[str, Any]) -> None:
    public = bytes.fromhex(VECTORS["keys"]["router"]["public"])
    key, value = (None if vector[n] is None else bytes.fromhex(vector[n]) for n in ("key", "value"))
    headers = [(name, bytes.fromhex(value)) for name, value in vector["headers"]]
    record = Fetched(vector["feed"], vector["partition"], 0, 0, key, value, headers)
    mark = check_attestation(record, public)
    assert verifies(public, bytes.fromhex(vector["message"]), mark.signature)


def test_another_key_does_not_verify() -> None:
    written = read(attested(ROUTER, FEED, 2, RECORD, MOMENT))
    with pytest.raises(NotVerified):
        check_attestation(written, signer(6).public)
