"""The contract of a run's own topic: the shipped address record, kept for a month."""

from dataclasses import replace

from bus.contracts import Contract, load_all
from bus.schemas import SchemaClient
from ops.bench.addresses import PARTITIONS
from ops.bench.model import Task

SYSTEM = "de.mun.110000000000.adressregister"

_SHIPPED = "address.building-changed.v1"


async def put_in_force(task: Task) -> Contract:
    """Make the run's topic, and return its contract with its schema's id.

    The contract that is shipped keeps the last state of each key alone: events that are to be
    counted afterwards need another retention. All else is as it is shipped.
    """
    (shipped,) = (contract for contract in load_all(None) if contract.topic == _SHIPPED)
    assert shipped.partitions == PARTITIONS  # or what arrives would be compared with another order
    wanted = replace(shipped, topic=task.topic, retention="P30D")
    async with SchemaClient(task.registry) as registry:
        return await registry.put_contract(wanted)
