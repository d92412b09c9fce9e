"""Engine against engine: single records on one connection and on many."""

from ops.bench.model import Case, Contender, Measure, Scenario
from ops.bench.scenarios.engines import EACH_SYNCED

SCENARIO = Scenario(
    name="connections",
    title="The engines: one record in flight on each connection",
    what=(
        "aiokafka producers, each with a connection of its own and one record of 200 bytes in "
        "flight (idempotent, acks=all, no linger), on a topic with ten partitions. With one "
        "connection this is the way to the engine and back, and its sync to disk where it makes "
        "one; with 200 the client's process is what is busiest, for both engines. Apache Kafka is "
        "measured as it comes, and with topics that are synced as the embedded broker's are."
    ),
    verified=(
        "All records are read back: each connection's are there, in its order, byte for byte."
    ),
    measures=(
        Measure(name="acknowledged", unit="records/s", better="more"),
        Measure(name="p50", unit="ms", better="less", digits=2),
        Measure(name="p99", unit="ms", better="less", digits=2),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.connections:one_in_flight",
            engine="embedded",
        ),
        Contender(
            name="kafka",
            title="Apache Kafka, one node",
            run="ops.bench.contenders.connections:one_in_flight",
            engine="kafka",
        ),
        Contender(
            name="kafka-synced",
            title="Apache Kafka that syncs, too",
            run="ops.bench.contenders.connections:one_in_flight",
            engine="kafka",
            configs=EACH_SYNCED,
        ),
    ),
    stage="engines",
    cases=(
        Case(name="1 connection", values={"connections": 1}),
        Case(name="200 connections", values={"connections": 200}),
    ),
    count=6_000,
    counted="records",
    quick=400,
    warm=1,
)
