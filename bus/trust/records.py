"""What is known of members, systems and keys: records that are never changed, only replaced."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

ROOT = "root"
"""Whose the root's keys are."""

Phase = Literal["active", "suspended", "left"]

Fault = Literal["not-yet-valid", "expired", "revoked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key and when it counts; times in milliseconds since 1970, by the engine's clock.

    Args:
        id: its name.
        public: its 32 bytes.
        owner: the member or system whose it is, or `ROOT`.
        since: when it begins to count: never before it was attested.
        until: when it ends; None if nobody said.
        revoked: from when on it does not count any more, if it was revoked.
        entry: the number of the journal's entry that attested it.
        by_root: it is a member's, and the root alone put it in the place of earlier ones.
    """

    id: str
    public: bytes
    owner: str
    since: int
    until: int | None
    entry: int
    revoked: int | None = None
    by_root: bool = False

    def fault_at(self, at: int) -> Fault | None:
        """Return why it does not count at a time; None if it does."""
        if self.revoked is not None and at >= self.revoked:
            return "revoked"
        if at < self.since:
            return "not-yet-valid"
        if self.until is not None and at >= self.until:
            return "expired"
        return None


@dataclass(frozen=True, slots=True)
class Since:
    """A value that holds from a day on, until the next one does; None for none."""

    value: str | None
    day: date


@dataclass(frozen=True, slots=True)
class Mandate:
    """An authority's right to decide about grants for all municipalities under a code.

    Args:
        ars: the beginning of their official codes.
        norm: the law that says so.
    """

    ars: str
    norm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the bus.

    Args:
        id: its name for good, ``de.mun.092720140140``.
        name: what people call it.
        contact, privacy: addresses of roles, for questions and for data protection.
        ars: the municipality's official code, by the days from which it held.
        association: the association that it belongs to, likewise.
        phases: what it was from when on, in order; the first is when it was admitted.
        keys: the names of its own keys, oldest first.
        entry: the number of the journal's entry that admitted it.
        mandates: for whom it decides besides itself.
        four_eyes: two of its keys have to approve a grant.
    """

    id: str
    name: str
    contact: str
    privacy: str
    ars: tuple[Since, ...]
    association: tuple[Since, ...]
    phases: tuple[tuple[int, Phase], ...]
    keys: tuple[str, ...]
    entry: int
    mandates: tuple[Mandate, ...] = ()
    four_eyes: bool = False

    @property
    def member_class(self) -> str:
        """The class in its id, such as ``mun``."""
        return self.id.split(".")[1]

    @property
    def phase(self) -> Phase:
        """What it is now."""
        return self.phases[-1][1]

    @property
    def was_suspended(self) -> bool:
        """Whether it was ever suspended."""
        return any(phase == "suspended" for _, phase in self.phases)

    def phase_at(self, at: int) -> Phase | None:
        """Return what it was at a time; None before it was admitted."""
        found: Phase | None = None
        for since, phase in self.phases:
            if since > at:
                break
            found = phase
        return found

    @property
    def left_on(self) -> date:
        """The day (UTC) on which it left; the last day there is if it has not."""
        since, phase = self.phases[-1]
        return datetime.fromtimestamp(since / 1000, UTC).date() if phase == "left" else date.max

    def ars_on(self, day: date) -> str | None:
        """Return its official code on a day; none from the day on which it left."""
        return _on(self.ars, day) if day < self.left_on else None

    def association_on(self, day: date) -> str | None:
        """Return the association that it belonged to on a day."""
        return _on(self.association, day)

    def held(self) -> tuple[tuple[str, date, date], ...]:
        """Return its official codes, each with its first day and the day after its last."""
        ends = [*(one.day for one in self.ars[1:]), date.max]
        return tuple(
            (one.value, one.day, min(end, self.left_on))
            for one, end in zip(self.ars, ends, strict=False)
            if one.value is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A member's application.

    Args:
        id: ``de.mun.092720140140.meldewesen``.
        member: whose it is.
        keys: the names of its keys, oldest first.
        retired: when it was retired, in milliseconds since 1970.
        entry: the number of the journal's entry that attested its first key.
        publishes: the topics of the contracts that its member registered it for.
    """

    id: str
    member: str
    keys: tuple[str, ...]
    entry: int
    retired: int | None = None
    publishes: tuple[str, ...] = ()


Record = Key | Member | System


def _on(values: tuple[Since, ...], day: date) -> str | None:
    found = None
    for one in values:
        if one.day > day:
            break
        found = one.value
    return found
