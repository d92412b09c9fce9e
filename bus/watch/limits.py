"""How bad a value is against limits, and which limits make sense. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from bus.errors import InvalidSettings


class Status(IntEnum):
    """How it is; the value is the exit code of a Nagios plug-in."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What is a warning, and what is critical; None: the promise of each subscriber, or nothing."""

    warn: float | None
    critical: float | None

    @classmethod
    def at_most(cls, warn: float | None, critical: float | None) -> Self:
        """Return limits that a value shall not be above.

        Raises:
            InvalidSettings: one is negative or no number, or the warning would come last.
        """
        _check({"--warn": warn, "--critical": critical}, math.inf)
        if warn is not None and critical is not None and warn > critical:
            raise _swapped(f"{warn:g} is above --critical {critical:g}")
        return cls(warn, critical)

    @classmethod
    def at_least(cls, warn: float, critical: float, *, most: float) -> Self:
        """Return limits that a value shall not be below.

        Args:
            warn, critical: the limits.
            most: the largest value that there can be.

        Raises:
            InvalidSettings: one is not between 0 and the largest, or the warning would come last.
        """
        _check({"--warn": warn, "--critical": critical}, most)
        if warn < critical:
            raise _swapped(f"{warn:g} is below --critical {critical:g}")
        return cls(warn, critical)

    def above(self, value: float) -> Status:
        """Return how bad a value is where more is worse."""
        if self.critical is not None and value > self.critical:
            return Status.CRITICAL
        return Status.WARNING if self.warn is not None and value > self.warn else Status.OK

    def below(self, value: float) -> Status:
        """Return how bad a value is where less is worse."""
        if self.critical is not None and value < self.critical:
            return Status.CRITICAL
        return Status.WARNING if self.warn is not None and value < self.warn else Status.OK


def _check(limits: Mapping[str, float | None], most: float) -> None:
    for name, limit in limits.items():
        if limit is not None and not (math.isfinite(limit) and 0 <= limit <= most):
            wanted = "0 or more" if most == math.inf else f"0 to {most:g}"
            raise InvalidSettings(f"{limit:g} is no limit", where=name, remedy=f"give {wanted}")


def _swapped(what: str) -> InvalidSettings:
    return InvalidSettings(
        f"{what}: nobody would be warned before it is critical",
        where="--warn",
        remedy="give both, so that the warning comes first",
    )
