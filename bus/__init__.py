"""Stadtbus: the event bus that lets cities talk to each other."""

__version__ = "0.1.0"
