"""Subscribing: events to handlers, in order per key, at least once; with an inbox, once."""

from bus.subscriber.inbox import Inbox
from bus.subscriber.retry import RetryPolicy
from bus.subscriber.subscriber import Subscriber

__all__ = ["Inbox", "RetryPolicy", "Subscriber"]
