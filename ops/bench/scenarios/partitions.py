"""The embedded broker with many partitions, against itself with one."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="partitions",
    title="The embedded broker: a hundred partitions against one",
    what=(
        "Records of 200 bytes, produced by aiokafka (`send_batch` of 64 kB, idempotent, acks=all) "
        "and consumed again, by one process, on a broker that is started for each run. What the "
        "client's part in it is differs with the partitions, too; so the processor time of the "
        "broker's process is told beside the rates. All partitions share a sync."
    ),
    verified="What is consumed of each partition is what was produced to it, in order.",
    measures=(
        Measure(name="produce", unit="records/s", better="more"),
        Measure(name="consume", unit="records/s", better="more"),
        Measure(
            name="processor time of the broker, produce", unit="µs/record", better="less", digits=2
        ),
        Measure(
            name="processor time of the broker, consume", unit="µs/record", better="less", digits=2
        ),
    ),
    contenders=(
        Contender(
            name="hundred",
            title="100 partitions",
            run="ops.bench.contenders.alone:hundred_partitions",
            engine="embedded",
        ),
        Contender(
            name="one",
            title="1 partition",
            run="ops.bench.contenders.alone:one_partition",
            engine="embedded",
        ),
    ),
    stage="nothing",
    count=500_000,
    counted="records",
    quick=5_000,
)
