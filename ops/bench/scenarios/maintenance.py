"""The embedded broker deleting and compacting beside a load, against itself with nothing to do."""

from ops.bench.model import Case, Contender, Measure, Scenario

SCENARIO = Scenario(
    name="maintenance",
    title="The embedded broker: deleting and compacting beside a load",
    what=(
        "A node with 1 GB in one topic (records of 1 kB, 20,000 keys) is written to at a fixed "
        "rate of 20 MB/s in batches of 64 kB, to another topic. Meanwhile all of the gigabyte is "
        "deleted (DeleteRecords), or compacted, and the space given back; or nothing is. Latency "
        "counts from the moment that a batch was meant to be sent to its acknowledgement, for all "
        "batches from when it begins until it is done; where nothing is done, for ten seconds. The "
        "longest step is what the broker tells of how long commits had to wait for maintenance."
    ),
    verified=(
        "Each batch has its acknowledgement. What is to go is gone, and the database is smaller "
        "than two fifths of what it was (and the load); of what is compacted, each key is there."
    ),
    measures=(
        Measure(name="p50", unit="ms", better="less", digits=2),
        Measure(name="p99", unit="ms", better="less", digits=2),
        Measure(name="max", unit="ms", better="less", digits=1),
        Measure(name="longest step", unit="ms", better="less", digits=1),
        Measure(name="done after", unit="s", better="less", digits=1),
    ),
    contenders=(
        Contender(
            name="busy",
            title="deleting or compacting",
            run="ops.bench.contenders.maintenance:busy",
            engine="embedded",
        ),
        Contender(
            name="quiet",
            title="nothing to do",
            run="ops.bench.contenders.maintenance:quiet",
            engine="embedded",
        ),
    ),
    stage="nothing",
    cases=(
        Case(name="deleting", values={"policy": "delete"}),
        Case(name="compacting", values={"policy": "compact"}),
    ),
    count=1000,
    counted="MB",
    quick=10,
)
