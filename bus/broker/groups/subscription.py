"""What a consumer says of itself when it joins a group: the topics that it wants. Pure."""

import struct

_COUNT = struct.Struct(">hi")  # version, number of topics; the same in all versions
_LENGTH = struct.Struct(">h")


def topics_of(metadata: bytes) -> frozenset[str] | None:
    """Return the topics in a consumer's subscription; None if it is not one.

    Members write it for each other (ConsumerProtocolSubscription), so it may be anything.
    """
    try:
        _, count = _COUNT.unpack_from(metadata)
        topics, at = set(), _COUNT.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(metadata, at)
            if length < 0:
                return None
            at += _LENGTH.size + length
            topics.add(metadata[at - length : at].decode())
    except (struct.error, UnicodeDecodeError):
        return None
    return frozenset(topics) if at <= len(metadata) else None
