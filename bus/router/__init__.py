"""The router: what arrives on shared topics is checked, and passed on to feeds."""

from bus.router.router import Router

__all__ = ["Router"]
