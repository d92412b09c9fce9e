"""An engine, a registry, and letters to decide about."""

from tests.city import city

__all__ = ["city"]
