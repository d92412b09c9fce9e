"""Observations as events of the contract `mobility.traffic-load.v1`."""

from bus.event import Draft
from producers.identity import identity
from producers.traffic.observation import Observation

TOPIC = "mobility.traffic-load.v1"


def draft(municipality: str, source: str, seen: Observation) -> Draft:
    """Return the event of an observation; its id is the same whenever that is published again.

    Args:
        municipality: the ARS of the municipality that the segment lies in.
        source: the system that publishes; part of the event's id.
        seen: what was observed. With another code it is another event.
    """
    said = (source, seen.segment, seen.at.isoformat(), seen.code, seen.valid)
    return Draft(
        id=identity(seen.at, said),
        time=seen.at,
        data={
            "municipality": municipality,
            "segment": seen.segment,
            "observed_at": seen.at,
            "load_code": seen.code,
            "valid": seen.valid,
        },
    )
