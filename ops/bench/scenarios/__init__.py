"""Every scenario is one small file here; this is their order on the page."""

from collections.abc import Mapping

from ops.bench.model import Scenario
from ops.bench.scenarios import (
    catch_up,
    connections,
    consume,
    engines,
    granting,
    latency,
    maintenance,
    memory,
    opening,
    partitions,
    pass_through,
    portal,
    publish_bulk,
    publish_single,
    registry_reads,
    registry_writes,
    start,
    turns,
)

SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        publish_bulk.SCENARIO,
        publish_single.SCENARIO,
        consume.SCENARIO,
        catch_up.SCENARIO,
        pass_through.SCENARIO,
        granting.SCENARIO,
        latency.SCENARIO,
        engines.SCENARIO,
        connections.SCENARIO,
        start.SCENARIO,
        partitions.SCENARIO,
        turns.SCENARIO,
        memory.SCENARIO,
        opening.SCENARIO,
        maintenance.SCENARIO,
        portal.SCENARIO,
        registry_reads.SCENARIO,
        registry_writes.SCENARIO,
    )
}
