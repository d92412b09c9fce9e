"""Stadtbus: the event bus that lets cities talk to each other.

The names below are all that a publisher or a subscriber needs. They are loaded when first used, so
that a command that needs none of them starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "BadEvent": "bus.errors",
    "Event": "bus.event",
    "Inbox": "bus.subscriber",
    "Publisher": "bus.publisher",
    "Settings": "bus.settings",
    "Subscriber": "bus.subscriber",
    "load": "bus.settings",
}

if TYPE_CHECKING:
    from bus.errors import BadEvent as BadEvent
    from bus.event import Event as Event
    from bus.publisher import Publisher as Publisher
    from bus.settings import Settings as Settings
    from bus.settings import load as load
    from bus.subscriber import Inbox as Inbox
    from bus.subscriber import Subscriber as Subscriber

__all__ = ["BadEvent", "Event", "Inbox", "Publisher", "Settings", "Subscriber", "load"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
