"""Metrics whose series are all known at once: what a survey found, and nothing that is gone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Series(Collector):
    """A metric that is replaced as a whole, so that nobody sees a part of it, or what is gone.

    Args:
        name: its name; of a counter without ``_total``.
        tells: what it tells.
        labels: the names of its labels.
        kind: ``gauge``, or ``counter`` for what only grows.
        registry: where it is shown.
    """

    def __init__(
        self,
        name: str,
        tells: str,
        labels: Sequence[str],
        *,
        kind: Literal["gauge", "counter"] = "gauge",
        registry: CollectorRegistry,
    ) -> None:
        self.name, self.label_names = name, tuple(labels)
        self._tells, self.kind = tells, kind
        self._values: Mapping[tuple[str, ...], float] = {}
        registry.register(self)

    def replace(self, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Show these from now on: the labels' values in their order, and a number."""
        self._values = dict(values)

    def clear(self) -> None:
        """Show nothing rather than what is no longer true."""
        self._values = {}

    @property
    def values(self) -> Mapping[tuple[str, ...], float]:
        """What is shown."""
        return self._values

    def describe(self) -> Iterable[Metric]:
        """Return the metric without its values."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the metric with its values."""
        family = self._family()
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return [family]

    def _family(self) -> GaugeMetricFamily | CounterMetricFamily:
        family = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        return family(self.name, self._tells, labels=self.label_names)
