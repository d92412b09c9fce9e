"""The headers that a signature needs, whole events' and parts'."""

from collections.abc import Mapping, Sequence

from bus.errors import NotVerified
from bus.event import CONTENT_TYPE
from bus.trust.reasons import Reason
from bus.trust.signature import SALTS, SIGNATURE, Claim, Mark, malformed

Headers = Sequence[tuple[str, bytes | None]]
Found = Mapping[str, bytes | None]

FIXED = {"ce_specversion": b"1.0", "content-type": CONTENT_TYPE.encode()}
CLAIMED = ("ce_id", "ce_source", "ce_type", "ce_time", SIGNATURE, SALTS)


def unique(headers: Headers) -> Found:
    """Return a signed record's headers by name.

    Raises:
        NotVerified: one is there twice, or there is no signature among them.
    """
    found = unique_names(headers)
    if SIGNATURE not in found:
        raise NotVerified(
            "the event is not signed",
            reason=Reason.UNSIGNED,
            remedy="give the publisher its system's key",
        )
    return found


def unique_names(headers: Headers) -> Found:
    """Return headers by name.

    Raises:
        NotVerified: one is there twice.
    """
    found = dict(headers)
    if len(found) != len(headers):
        raise malformed("a header is there twice")
    return found


def claim_of(topic: str, found: Found, fingerprint: bytes) -> tuple[Claim, Mark]:
    """Return what everybody sees of an event, and its signature.

    Args:
        topic: the contract's topic, which ``ce_type`` has to name.
        found: the headers by name.
        fingerprint: the schema's; empty for a tombstone.

    Raises:
        NotVerified: a header is missing, not as it has to be, or names another topic.
    """
    for name, value in FIXED.items():
        if found.get(name) != value:
            raise NotVerified(f"{name} is not {value.decode()}", reason=Reason.ALTERED)
    id_, source, type_, time, signature, _ = (needed(found, name) for name in CLAIMED)
    if type_ != topic.encode():
        raise NotVerified(
            f"it was signed for another topic than {topic}", reason=Reason.OTHER_TOPIC
        )
    return Claim(type_, id_, source, time, fingerprint), Mark.unpack(signature)


def needed(found: Found, name: str) -> bytes:
    """Return a header that has to be there.

    Raises:
        NotVerified: it is missing or null.
    """
    value = found.get(name)
    if value is None:
        raise malformed(f"the header {name} is missing")
    return value


def optional(found: Found, name: str) -> bytes | None:
    """Return a header that may be missing, but not null.

    Raises:
        NotVerified: it is null.
    """
    if name in found and found[name] is None:
        raise malformed(f"the header {name} is null")
    return found.get(name)
