"""A bus for the producers."""

from tests.running import bus, nowhere

__all__ = ["bus", "nowhere"]
