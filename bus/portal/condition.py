"""What can be wrong with the bus beside its subscribers: nothing gets through, the disk is full,
data is damaged, feeds have fallen silent. Pure, but for what the node measures of itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bus.portal.language import Language
from bus.portal.picture import Picture, Silent
from bus.portal.shown import in_sentence
from bus.portal.states import State
from bus.settings import Role as NodeRole
from bus.telemetry import Telemetry

QUIET_SECONDS = 15.0
"""Seconds after which an event of the bus's own, of which there is one a second, is missed."""

LOW, LOWEST = 0.15, 0.05
"""Shares of a disk that shall be free; the limits of the alarms and of `stadtbus check disk`."""

NAMED = 3
"""Silent feeds that are named; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How the bus is, its subscribers aside.

    Args:
        silence: seconds since an event of the bus's own came back; None: this node sends none.
        free: the share of the broker's disk that is free; None: the broker is another node's.
        damaged: partitions that are out of service.
        silent: topics that get fewer events than their contracts say, the longest silent first.
    """

    silence: float | None = None
    free: float | None = None
    damaged: int = 0
    silent: Sequence[Silent] = ()

    @property
    def state(self) -> State:
        """How bad it is."""
        if self._stuck or self.damaged or (self.free is not None and self.free < LOWEST):
            return State.BAD
        return State.WARNING if self._is_low or self.silent else State.GOOD

    @property
    def _stuck(self) -> bool:
        return self.silence is not None and self.silence > QUIET_SECONDS

    @property
    def _is_low(self) -> bool:
        return self.free is not None and self.free < LOW

    def failures(self, say: Language) -> Iterator[str]:
        """Yield what keeps the bus from working, a sentence each."""
        if self._stuck:
            yield say.gettext(
                "Events do not get through: for %(span)s none of the bus's own has come back.",
                span=say.span(self.silence or 0.0),
            )
        if self.damaged:
            yield say.ngettext(
                "%(number)s partition is out of service: what is stored of it is damaged.",
                "%(number)s partitions are out of service: what is stored of them is damaged.",
                self.damaged,
            )
        if self.free is not None and self.free < LOWEST:
            yield say.gettext(
                "Publishers have to wait, or will soon: %(share)s of the disk are free.",
                share=say.percent(self.free),
            )

    def warnings(self, say: Language) -> Iterator[str]:
        """Yield what needs a look before it fails, a sentence each."""
        if self.free is not None and LOWEST <= self.free < LOW:
            yield say.gettext("%(share)s of the disk are free.", share=say.percent(self.free))
        if self.silent:
            named = "; ".join(_named(one, say) for one in self.silent[:NAMED])
            yield say.ngettext(
                "%(number)s topic is silent: %(named)s.",
                "%(number)s topics are silent, above all: %(named)s.",
                len(self.silent),
                named=named,
            )


def condition(
    picture: Picture | None,
    silence: float | None,
    roles: Sequence[NodeRole],
    telemetry: Telemetry,
    now: float,
) -> Condition:
    """Return how the bus is, as far as this node can tell.

    Args:
        picture: the bus as it was last seen; None: never yet.
        silence: seconds since an event of the bus's own came back; None: this node sends none.
        roles: what the node runs.
        telemetry: what it measures of itself.
        now: seconds since 1970.
    """
    silent = picture.silent(now) if picture else ()
    if "broker" not in roles:
        return Condition(silence=silence, silent=silent)
    disk = gauge(telemetry, "stadtbus_storage_disk_bytes") or 0.0
    free = gauge(telemetry, "stadtbus_storage_free_bytes") or 0.0
    return Condition(
        silence=silence,
        free=free / disk if disk else None,  # before the broker has looked there is no disk
        damaged=int(gauge(telemetry, "stadtbus_damaged_partitions") or 0),
        silent=silent,
    )


def gauge(telemetry: Telemetry, name: str) -> float | None:
    """Return a metric's value; the registry itself would collect all others, too, for each one."""
    for metric in telemetry.registry.restricted_registry([name]).collect():
        for sample in metric.samples:
            return sample.value
    return None


def _named(one: Silent, say: Language) -> str:
    return say.gettext(
        "%(topic)s, nothing for %(span)s, agreed interval %(interval)s",
        topic=in_sentence(one.topic),
        span=say.span(one.seconds),
        interval=say.span(one.interval),
    )
