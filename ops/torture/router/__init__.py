"""Routers that are killed and stopped in mid-stream, while grants come and go."""

from ops.torture.router.campaign import router_campaign
from ops.torture.router.judging import Findings

__all__ = ["Findings", "router_campaign"]
