"""The metrics of one process, and its log.

Names follow the Prometheus conventions: one prefix, base units, ``_total`` for counters. Labels are
topics, groups and APIs: their number is bounded by what an operator has created. No key, no name of
a person and no payload is ever a label.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bus.telemetry.logs import JsonLines, configure_logging
from bus.telemetry.metrics import (
    Certificates,
    Connections,
    Consumption,
    Records,
    Registrations,
    Requests,
    Storage,
)

__all__ = ["JsonLines", "Telemetry", "configure_logging"]


class Telemetry(Requests, Records, Storage, Connections, Certificates, Registrations, Consumption):
    """The metrics of one process; passed to whoever counts something."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Return the label names of each metric, by the metric's name without its suffix."""
        return {
            described.name: tuple(metric._labelnames)  # noqa: SLF001  # there is no public way
            for metric in vars(self).values()
            if isinstance(metric, Counter | Gauge | Histogram)
            for described in metric.describe()
        }

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
