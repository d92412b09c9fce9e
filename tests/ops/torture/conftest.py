"""An engine and a registry for these tests."""

from tests.city import city

__all__ = ["city"]
