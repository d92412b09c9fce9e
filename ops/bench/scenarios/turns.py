"""The embedded broker under loads that might hold up its event loop or let its files grow."""

from ops.bench.model import Case, Contender, Measure, Scenario

SCENARIO = Scenario(
    name="turns",
    title="The embedded broker: the longest turn of its event loop, and its write-ahead log",
    what=(
        "What one client does must not keep the others waiting. The broker itself tells the "
        "longest turn of its event loop, which is asked for twice a second and takes a turn, too; "
        "the size of its write-ahead log is looked at every 10 ms. "
        "Records of 200 bytes in batches of 64 kB to one and to a hundred partitions, also where "
        "each sync takes 5 ms more (injected by strace); the same beside two readers that go "
        "through the whole log again and again; and 30,000 requests of one record each that do "
        "not wait for their answers. An event loop that does nothing, in a process of its own "
        "beside it, tells for how long the machine itself kept a process waiting."
    ),
    verified="Every record is acknowledged, or the run fails.",
    measures=(
        Measure(name="longest turn", unit="ms", better="less", digits=1),
        Measure(name="longest turn of an idle loop beside it", unit="ms", better="less", digits=1),
        Measure(name="write-ahead log", unit="MB", better="less", digits=1),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.alone:under_load",
            engine="embedded",
        ),
    ),
    stage="nothing",
    cases=(
        Case(name="1 partition", values={"load": "bulk"}),
        Case(name="100 partitions", values={"load": "many"}),
        Case(name="100 partitions, syncs of 5 ms", values={"load": "many", "sync": 5}),
        Case(name="30,000 pipelined requests", values={"load": "pipelined"}),
        Case(
            name="30,000 pipelined requests, syncs of 5 ms",
            values={"load": "pipelined", "sync": 5},
        ),
        Case(name="beside readers of the whole log", values={"load": "readers"}),
    ),
    count=500_000,
    counted="records",
    quick=5_000,
)
