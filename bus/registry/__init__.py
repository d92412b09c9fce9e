"""The schema registry role: what may be said on the bus, in Confluent's API and ours."""

from bus.registry.role import Registry

__all__ = ["Registry"]
