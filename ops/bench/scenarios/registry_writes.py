"""The registry: writes."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="registry-writes",
    title="Registry: writes",
    what=(
        "New schemas, each under a subject of its own, registered one after the other. A "
        "registration is answered once it is in the journal on the engine and was read back from "
        "there. The peer is the floor of any such write: aiokafka with a record of 200 bytes in "
        "flight."
    ),
    verified=(
        "Every schema has an id of its own, and asking for that id returns that schema; the "
        "peer's records are read back as above."
    ),
    measures=(
        Measure(name="answers", unit="writes/s", better="more"),
        Measure(name="p50", unit="ms", better="less", digits=2),
        Measure(name="p99", unit="ms", better="less", digits=2),
    ),
    contenders=(
        Contender(
            name="stadtbus", title="Stadtbus", run="ops.bench.contenders.registry:write_registry"
        ),
        Contender(
            name="record",
            title="one record with aiokafka",
            run="ops.bench.contenders.registry:write_record",
        ),
    ),
    count=600,
    counted="writes",
    quick=20,
)
