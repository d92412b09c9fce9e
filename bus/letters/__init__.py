"""Dead letters: what they look like, what was decided about them, and carrying decisions out.

A letter waits as long as nobody has decided about it. A decision is a record on `DECISIONS`,
written in one transaction with what it does: so it is made and carried out, or neither.
"""

from bus.letters.carrying import Decider, Outcome
from bus.letters.decisions import DECISIONS, Action, Decision, Decisions
from bus.letters.letter import (
    LARGEST_LETTER,
    LARGEST_REDRIVEN,
    Letter,
    dead_topic,
    event_topic,
    is_dead_topic,
    is_redrive_topic,
    letters,
    original,
    read_letter,
    redrive_topic,
    redriven,
)
from bus.letters.search import Filter, Part, newest, part, waiting
from bus.letters.shelf import Count, DecisionLog, Shelf
from bus.letters.topics import KEPT_DAYS, letter_spec

__all__ = [
    "DECISIONS",
    "KEPT_DAYS",
    "LARGEST_LETTER",
    "LARGEST_REDRIVEN",
    "Action",
    "Count",
    "Decider",
    "Decision",
    "DecisionLog",
    "Decisions",
    "Filter",
    "Letter",
    "Outcome",
    "Part",
    "Shelf",
    "dead_topic",
    "event_topic",
    "is_dead_topic",
    "is_redrive_topic",
    "letter_spec",
    "letters",
    "newest",
    "original",
    "part",
    "read_letter",
    "redrive_topic",
    "redriven",
    "waiting",
]
