"""A registry and contracts on both engines."""

from tests.city import city

__all__ = ["city"]
