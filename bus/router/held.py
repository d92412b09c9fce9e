"""What feeds hold of one key of a shared topic, so that it can be withdrawn. Pure.

Each event of a key replaces what every recipient had of it, or has it withdrawn. So all that feeds
hold of a key came of one event, and what is known of that event is kept once.
"""

from collections.abc import Mapping, MutableMapping
from typing import NamedTuple


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
    """What feeds hold of a key, and of whose event.

    Args:
        speaker: the member whose system announced the event.
        ars: the official code of the municipality that it was about.
        owner: the member whose data it is.
        subject: whom it is about, as the source names them.
        feeds: who has it; nobody if empty.
    """

    speaker: str
    ars: str
    owner: str
    subject: str
    feeds: Feeds


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


def keep(sent: MutableMapping[bytes, Held], key: bytes, held: Held) -> None:
    """Let what feeds hold of a key become this; a key that nobody has is forgotten."""
    if held.feeds:
        sent[key] = held
    else:
        sent.pop(key, None)
