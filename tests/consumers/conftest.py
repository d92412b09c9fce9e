"""A bus for the consumers."""

from tests.running import bus, nowhere

__all__ = ["bus", "nowhere"]
