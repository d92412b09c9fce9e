"""Contracts: what an event type promises, read from its folder or from a registry's JSON.

A contract that was loaded has been checked as a whole.
"""

from bus.contracts.contract import MAX_EVENT_BYTES, Contract
from bus.contracts.feeds import contract_topic, member_feed, open_feed
from bus.contracts.folder import load_all, load_folder
from bus.contracts.rules import ACCESS, SENSITIVITY, TOPIC
from bus.contracts.spans import LAST_STATE, duration

__all__ = [
    "ACCESS",
    "LAST_STATE",
    "MAX_EVENT_BYTES",
    "SENSITIVITY",
    "TOPIC",
    "Contract",
    "contract_topic",
    "duration",
    "load_all",
    "load_folder",
    "member_feed",
    "open_feed",
]
