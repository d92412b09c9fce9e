"""A bus with a registry, as the router finds it."""

from tests.city import city

__all__ = ["city"]
