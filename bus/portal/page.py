"""What a page is: an address, what it shows, and who may see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bus.portal.catalogue import Known
from bus.portal.picture import Picture
from bus.portal.publishers import Sample
from bus.portal.sums import Sums
from bus.portal.traffic import Traffic
from bus.portal.trust.following import Following
from bus.portal.viewer import Role
from bus.settings import Role as NodeRole
from bus.settings import Settings
from bus.telemetry import Telemetry

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where pages have what they show from.

    Args:
        picture: the bus as it was last seen; None: never yet.
        silence: seconds since an event of the bus's own came back; None: this node sends none.
        now: seconds since 1970.
        sums: events by the minute.
        settings: as they are in force.
        roles: what the node runs.
        telemetry: what the node measures of itself.
        started: when the node began, in seconds since 1970.
        traffic: the view of traffic load as it was last read.
        contracts: returns the contracts.
        publishers: returns who publishes to a topic; None: it is being looked at.
        trust: who is who, and who gets what.
    """

    picture: Picture | None
    silence: float | None
    now: float
    sums: Sums
    settings: Settings
    roles: Sequence[NodeRole]
    telemetry: Telemetry
    started: float
    traffic: Traffic
    contracts: Callable[[], Known]
    publishers: Callable[[str], Sample | None]
    trust: Following


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page.

    Args:
        name: names its templates: ``<name>.html``, and ``<name>_live.html`` for the part that is
            sent again when it has changed.
        path: its address.
        role: who may see it.
        view: returns what it shows; None: a part of the portal answers at that address, and this
            is its place in the menu alone.
        listed: says whether the menu has it.
    """

    name: str
    path: str
    role: Role
    view: Callable[[Sources, Query], Any] | None
    listed: Callable[[Sources], bool] = lambda sources: True
