"""A bus for the consumers."""

from tests.running import bus

__all__ = ["bus"]
