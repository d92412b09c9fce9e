"""A bus for the producers."""

from tests.running import bus

__all__ = ["bus"]
