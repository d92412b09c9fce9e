"""Quotas of principals: so many requests and bytes a second, on average. Pure.

Who takes more is answered all the same, is told for how long to be silent (`throttle_time_ms`), and
is not listened to for that time, as Apache Kafka does since 2.0 (KIP-219). All connections of a
principal share its quotas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BURST_SECONDS = 1.0
"""What may be taken at once after a silence, in seconds of the quota."""

LONGEST_SECONDS = 10.0
"""One silence at most, so that a client's own deadlines hold; what is left is for the next."""

REQUESTS, PRODUCE, FETCH = "requests", "produce", "fetch"


@dataclass(slots=True)
class Bucket:
    """What one principal may still take of one thing: a token bucket that may go into debt.

    Attributes:
        rate: units a second.
        at: when it was looked at last, in seconds.
        level: units that may be taken at once; negative is a debt.
    """

    rate: float
    at: float
    level: float

    def spend(self, units: float, now: float) -> float:
        """Take units, and return the seconds until the debt is paid; 0 if there is none."""
        self._fill(now)
        self.level -= units
        return max(-self.level / self.rate, 0.0)

    def full(self, now: float) -> bool:
        """Say whether it is as it was in the beginning, and can be forgotten."""
        self._fill(now)
        return self.level >= self.rate * BURST_SECONDS

    def _fill(self, now: float) -> None:
        grown = self.level + max(now - self.at, 0.0) * self.rate
        self.at, self.level = now, min(grown, self.rate * BURST_SECONDS)


@dataclass(slots=True)
class Quotas:
    """The quotas of all principals.

    Args:
        rates: units a second by kind, of each principal; a kind that is not there has no limit.
        exempt: principals without any limit.
    """

    rates: Mapping[str, float]
    exempt: frozenset[str] = frozenset()
    _buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)

    def spend(self, principal: str, kind: str, units: float, now: float) -> float:
        """Take units of a principal's quota.

        Args:
            principal: who.
            kind: of what.
            units: how many.
            now: seconds of a clock that only goes forward.

        Returns:
            the seconds for which nothing more may come from them; 0 if there is no need.
        """
        rate = self.rates.get(kind)
        if rate is None or principal in self.exempt:
            return 0.0
        bucket = self._buckets.get((principal, kind))
        if bucket is None:
            bucket = Bucket(rate, now, rate * BURST_SECONDS)
            self._buckets[principal, kind] = bucket
        return min(bucket.spend(units, now), LONGEST_SECONDS)

    def forget(self, now: float) -> None:
        """Drop what is known of those who have not come for a while."""
        for key in [key for key, bucket in self._buckets.items() if bucket.full(now)]:
            del self._buckets[key]
