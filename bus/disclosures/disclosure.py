"""Who was told what of whom, and why that was allowed: the record of one delivery."""

from typing import NamedTuple


class Disclosure(NamedTuple):
    """One record of a restricted contract that a recipient's feed got.

    Args:
        subject: whom the event is about, as the source names them.
        owner: the member whose data it is.
        recipient: whose feed it is.
        grants: the ids of the grants under which it was sent, in the order of the feed's header.
        purposes: what these are for, sorted, each once.
        event: the id (``ce_id``) of the record on the feed.
        fields: the top-level fields that it gives, sorted; none for a tombstone.
        at_ms: when, in milliseconds since 1970, by the router's clock.
        topic, partition, offset: where the source's record lies that brought it about; the offset
            is None where a change of grants did.
    """

    subject: str
    owner: str
    recipient: str
    grants: tuple[bytes, ...]
    purposes: tuple[str, ...]
    event: str
    fields: tuple[str, ...]
    at_ms: int
    topic: str
    partition: int
    offset: int | None
