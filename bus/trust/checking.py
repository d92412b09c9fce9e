"""Whether a record is its source's word, by public keys alone, wherever it was taken from."""

from collections.abc import Mapping
from functools import lru_cache

from bus.contracts import contract_topic
from bus.errors import InvalidSchema, NotVerified
from bus.event import unframe
from bus.kafka import Fetched
from bus.trust.part import read_part
from bus.trust.projection import Projection
from bus.trust.reasons import Reason
from bus.trust.signature import DIGESTS
from bus.trust.signed import Content, Signed, read_whole


def verified(record: Fetched, schema: str | None, keys: Mapping[str, bytes]) -> Signed:
    """Return a record as it was signed; it has been checked.

    Args:
        record: from a shared topic, or from a feed.
        schema: the text of the contract's schema, on a feed too; None for a tombstone. It needs no
            trust: its fingerprint is signed.
        keys: public keys that are taken for the source's, by their names.

    Raises:
        NotVerified: it is not signed, not with one of the keys, or not like this.
        UndecodableEvent: the value is not what the schema says.
        InvalidSchema: the schema is missing or none.
    """
    topic = contract_topic(record.topic)
    content = None
    if record.value is not None:
        _, data = unframe(record.value)
        if schema is None:
            raise InvalidSchema(
                "the schema is missing that the event was signed under",
                remedy="name the contract's schema by --schema",
            )
        content = Content(projection(schema), data)
    if any(name == DIGESTS for name, _ in record.headers):
        signed = read_part(topic, record.key, content, record.headers)
    else:
        signed = read_whole(topic, record.key or b"", content, record.headers)
    public = keys.get(signed.mark.key_id)
    if public is None:
        raise NotVerified(
            f"it was signed with the key {signed.mark.key_id}, which is none of those given",
            reason=Reason.WRONG_KEY,
            remedy="ask its source for the public key; docs/trust.md says how keys are vouched for",
        )
    signed.check(public)
    return signed


@lru_cache(256)  # few schemas, many events
def projection(schema: str) -> Projection:
    """Return the projection of a schema's text.

    Raises:
        InvalidSchema: it is none, or goes past the limits.
    """
    return Projection(schema)
