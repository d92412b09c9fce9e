"""The journal: compare-and-swap on a topic, one chain of entries in one order for all nodes."""

from bus.journal.chain import Chain, Entry
from bus.journal.journal import Journal
from bus.journal.reading import TOPIC, JournalReader

__all__ = ["TOPIC", "Chain", "Entry", "Journal", "JournalReader"]
