"""A signed event: read from a record of a shared topic, and checked.

Everything here works offline, with a public key and the contract's schema alone. Whether the key is
its source's, and the source may speak for the municipality, is for those to say who know.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bus.errors import NotVerified
from bus.trust.headers import CLAIMED, FIXED, Headers, claim_of, needed, optional, unique
from bus.trust.leaves import KEY, MUNICIPALITY, SUBJECT, Leaf, leaf, present, salts_of
from bus.trust.projection import Projection
from bus.trust.reasons import Reason
from bus.trust.signature import MUNICIPALITY_HEADER, SALTS, Claim, Mark, holds, read_seed

UNCOVERED = ("stadtbus-seq", "traceparent", "tracestate")
"""Headers of a signed event that may change on its way: counters and traces, no fact is in them."""

_WHOLE = {*FIXED, *CLAIMED, *UNCOVERED, "ce_subject", MUNICIPALITY_HEADER}


class Content(NamedTuple):
    """The value of an event that is no tombstone.

    Args:
        projection: of the contract's schema that the event was signed under.
        data: the value after its frame.
    """

    projection: Projection
    data: bytes


class Signed(NamedTuple):
    """An event and its signature; nothing is believed of it before `check` has been called.

    Args:
        claim: what everybody sees of it.
        mark: who signed it, and when.
        leaves: the rest, each part of which may have been withheld.
    """

    claim: Claim
    mark: Mark
    leaves: Sequence[Leaf]

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the leaves whose contents are here."""
        return tuple(leaf.name for leaf in self.leaves if leaf.content is not None)

    @property
    def withheld(self) -> tuple[str, ...]:
        """Names of the leaves whose contents are not here."""
        return tuple(leaf.name for leaf in self.leaves if leaf.content is None)

    def check(self, public: bytes) -> None:
        """Check that the key's holder signed this event with these contents.

        Args:
            public: the 32 bytes of the public key that ``mark.key_id`` names.

        Raises:
            NotVerified: the signature is not of this.
        """
        if not holds(self.claim, self.mark, [leaf.digest for leaf in self.leaves], public):
            raise NotVerified(
                "the signature is not of this event: something in it was altered",
                reason=Reason.ALTERED,
            )


def contents_of(
    key: bytes, subject: bytes | None, content: Content | None, municipality: bytes | None
) -> list[tuple[str, bytes]]:
    """Return names and contents of an event's leaves, in their order.

    Args:
        key: the record's key.
        subject: the header ``ce_subject``, if there is one.
        content: the value; None for a tombstone.
        municipality: the header that a tombstone names it with; None for any other event.

    Raises:
        UndecodableEvent: the data is not what the schema says.
    """
    envelope = [(KEY, key), (SUBJECT, present(subject))]
    if content is None:
        return [*envelope, (MUNICIPALITY, municipality or b"")]
    pieces = content.projection.split(content.data)
    return [*envelope, *zip(content.projection.names, pieces, strict=True)]


def read_whole(topic: str, key: bytes, content: Content | None, headers: Headers) -> Signed:
    """Read a signed event from a record of a shared topic.

    Args:
        topic: the topic that it lies on.
        key: the record's key.
        content: the record's value; None for a tombstone.
        headers: the record's.

    Raises:
        NotVerified: it is unsigned, not as a signer of ours writes it, or for another topic.
        UndecodableEvent: the data is not what the schema says.
    """
    found = unique(headers)
    for name in found:
        if name not in _WHOLE or (name == MUNICIPALITY_HEADER and content is not None):
            raise NotVerified(
                "no signature covers this header", reason=Reason.UNCOVERED, where=name
            )
    claim, mark = claim_of(topic, found, content.projection.fingerprint if content else b"")
    municipality = None if content else needed(found, MUNICIPALITY_HEADER)
    contents = contents_of(key, optional(found, "ce_subject"), content, municipality)
    salts = salts_of(read_seed(needed(found, SALTS)), len(contents))
    leaves = [leaf(*each, salt) for each, salt in zip(contents, salts, strict=True)]
    return Signed(claim, mark, leaves)
