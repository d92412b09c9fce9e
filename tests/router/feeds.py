"""What a recipient sees of its feed: read as it would be, with public keys alone."""

import json
from typing import Any, NamedTuple

from bus.event import unframe
from bus.kafka import Fetched
from bus.router.routing import Write
from bus.trust.attestation import check_attestation
from bus.trust.part import read_part
from bus.trust.projection import Projection
from bus.trust.signed import Content, Signed
from tests.router.town import FEED_SCHEMA, ROUTER_KEY, TOPIC, codec, on

OF_ALL = {"ce_specversion", "content-type", "ce_id", "ce_source", "ce_type", "ce_time"}
OF_ROUTER = {"stadtbus-grant", "stadtbus-state", "stadtbus-seq", "stadtbus-attestation"}
OF_SOURCE = {"stadtbus-signature", "stadtbus-salts", "stadtbus-digests", "stadtbus-withheld"}


class Seen(NamedTuple):
    """A record of a feed, whose signatures were verified.

    Args:
        recipient: whose feed it is.
        record: as it lies there.
        headers: by name.
        data: what it says; None for a tombstone.
        signed: the source's word; None if it is the router's alone.
    """

    recipient: str
    record: Fetched
    headers: dict[str, bytes]
    data: dict[str, Any] | None
    signed: Signed | None

    @property
    def given(self) -> set[str]:
        """The names of the leaves that were given."""
        return set(self.signed.given) if self.signed else set()

    @property
    def grants(self) -> list[str]:
        """The ids of the grants."""
        return self.headers["stadtbus-grant"].decode().split(",")


def seen(write: Write, projection: Projection, public: bytes) -> Seen:
    """Return what a recipient sees of a record.

    Args:
        write: what the router wrote.
        projection: of the contract's schema.
        public: of the source's key.
    """
    topic, partition, record = write
    assert topic.startswith("feed.")
    assert topic.endswith(f".{TOPIC}")
    recipient = topic.removeprefix("feed.").removesuffix(f".{TOPIC}")
    found = on(topic, partition, record)
    check_attestation(found, ROUTER_KEY.public)
    headers = dict(record.headers)
    assert len(headers) == len(record.headers)
    data, content, signed = None, None, None
    if record.value is not None:
        number, body = unframe(record.value)
        assert number == FEED_SCHEMA
        data = codec(json.dumps(projection.feed)).decode(body)
        content = Content(projection, body)
    if "stadtbus-signature" in headers:
        signed = read_part(TOPIC, record.key, content, record.headers)
        signed.check(public)
    expected = OF_ALL | OF_ROUTER | (OF_SOURCE if signed else set())
    assert headers.keys() - {"ce_subject"} == expected
    return Seen(recipient, found, headers, data, signed)
