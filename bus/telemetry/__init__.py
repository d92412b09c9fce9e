"""The metrics of one process, and its log.

Names follow the Prometheus conventions: one prefix, base units, ``_total`` for counters. Labels are
topics, groups and APIs: their number is bounded by what an operator has created. No key, no name of
a person and no payload is ever a label.
"""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bus.telemetry.logs import JsonLines, configure_logging
from bus.telemetry.metrics import (
    Canaries,
    Certificates,
    Connections,
    Group,
    HttpRequests,
    Loops,
    Publishing,
    Records,
    Registrations,
    Requests,
    Rights,
    Routes,
    Storage,
    Subscriptions,
    Topics,
)
from bus.telemetry.series import Series
from bus.telemetry.turns import Turns

__all__ = [
    "Canaries",
    "JsonLines",
    "Publishing",
    "Records",
    "Registrations",
    "Requests",
    "Rights",
    "Routes",
    "Series",
    "Storage",
    "Subscriptions",
    "Telemetry",
    "Topics",
    "Turns",
    "configure_logging",
]


class Telemetry(
    Requests,
    Records,
    Storage,
    Connections,
    Certificates,
    Loops,
    HttpRequests,
    Registrations,
    Rights,
    Subscriptions,
    Topics,
    Canaries,
    Routes,
    Publishing,
):
    """The metrics of one process; passed to whoever counts something."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())

    def labels(self) -> dict[str, tuple[str, ...]]:
        """Return the label names of each metric, by the metric's name without its suffix."""
        counted = {
            described.name: tuple(metric._labelnames)  # noqa: SLF001  # there is no public way
            for metric in vars(self).values()
            if isinstance(metric, Counter | Gauge | Histogram)
            for described in metric.describe()
        }
        series = [metric for metric in vars(self).values() if isinstance(metric, Series)]
        return counted | {one.name: one.label_names for one in series}

    def leave_out(self, *groups: type[Group]) -> None:
        """Expose no metrics of these groups: this process does not do what they tell of.

        A gauge of it would stand at 0, which is not true, and not at nothing.
        """
        for group in groups:
            for name, metric in vars(group(CollectorRegistry())).items():
                if isinstance(metric, Counter | Gauge | Histogram | Series):
                    self.registry.unregister(getattr(self, name))

    def exposition(self, names: Collection[str] = ()) -> bytes:
        """Return metrics in Prometheus' text format.

        Args:
            names: of the series that are wanted; all if none is given.
        """
        wanted = self.registry.restricted_registry(names) if names else self.registry
        return generate_latest(wanted)
