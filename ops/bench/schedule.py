"""When events are meant to be sent, and what their latency is. Pure.

Latency counts from the intended time: where a sender falls behind, those that had to wait are
slow, and not merely fewer (no coordinated omission).
"""

from collections.abc import Mapping

from ops.bench.figures import percentile
from ops.bench.model import Unverified

PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


def due(start: float, rate: float, n: int) -> float:
    """Return when event number ``n`` is meant to be sent, in seconds."""
    return start + n / rate


def latencies(
    arrivals: Mapping[int, float], *, start: float, rate: float, count: int, warm: int
) -> dict[str, float]:
    """Return the percentiles of the latency in milliseconds.

    Args:
        arrivals: when each event was in its handler, by number.
        start: when the first one was meant to be sent, on the same clock.
        rate: events a second.
        count: how many were sent.
        warm: how many at the beginning do not count.

    Raises:
        Unverified: one did not arrive, or arrived before it was meant to be sent.
    """
    lost = [n for n in range(count) if n not in arrivals]
    if lost:
        raise Unverified(f"{len(lost)} of {count} events did not arrive, such as number {lost[0]}")
    ordered = sorted(arrivals[n] - due(start, rate, n) for n in range(warm, count))
    if ordered[0] < 0:
        raise Unverified("an event arrived before it was meant to be sent")
    return {name: percentile(ordered, at) * 1000 for name, at in PERCENTILES.items()}
