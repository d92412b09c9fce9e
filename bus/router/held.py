"""What feeds hold of one key of a shared topic, so that it can be withdrawn. Pure.

Each event of a key replaces what every recipient had of it, or has it withdrawn. So all that feeds
hold of a key came of one event, and what is known of that event is kept once.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple, Self


class Had(NamedTuple):
    """What one recipient's feed holds of a key.

    Args:
        key: the feed's key for it.
        grants: the ids of the grants under which it was sent, sorted.
    """

    key: bytes
    grants: tuple[bytes, ...]


Feeds = Mapping[str, Had]
"""What feeds hold of a key, by recipient."""


class Held(NamedTuple):
    """The last event of a key that counted, and what feeds hold of it.

    Args:
        offset: where it lies.
        event: its id.
        speaker: the member whose system announced it.
        ars: the official code of the municipality that it was about.
        owner: the member whose data it is.
        subject: whom it is about, as the source names them.
        feeds: who has it; nobody if empty.
    """

    offset: int
    event: str
    speaker: str
    ars: str
    owner: str
    subject: str
    feeds: Feeds

    def pack(self) -> bytes:
        """Return it as bytes; the grants' ids stand there in hexadecimal."""
        feeds = {
            recipient: [had.key.decode(), *(grant.hex() for grant in had.grants)]
            for recipient, had in self.feeds.items()
        }
        return json.dumps([*self[:-1], feeds], ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return what was packed."""
        offset, event, speaker, ars, owner, subject, feeds = json.loads(packed)
        had = {
            recipient: Had(key.encode(), tuple(bytes.fromhex(grant) for grant in grants))
            for recipient, (key, *grants) in feeds.items()
        }
        return cls(offset, event, speaker, ars, owner, subject, had)


def withdrawn(before: Feeds, now: Feeds) -> list[tuple[str, Had]]:
    """Return what recipients had and have no more: each is due a tombstone.

    Args:
        before: what feeds hold.
        now: what they are to hold. Who gets the key under another key of the feed than before, as
            when it becomes another owner's, has to lose the old one.
    """
    return [
        (recipient, had)
        for recipient, had in before.items()
        if recipient not in now or now[recipient].key != had.key
    ]
