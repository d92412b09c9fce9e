"""The embedded broker on a large store, against itself on an empty one."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="opening",
    title="The embedded broker: opening a large log against an empty one",
    what=(
        "From the start of the broker's process until it is ready, on a store of 10 GB (records of "
        "200 bytes in one partition) and on one that is empty."
    ),
    verified="The store's file is as large as it should be.",
    measures=(Measure(name="ready", unit="s", better="less", digits=2),),
    contenders=(
        Contender(
            name="large",
            title="10 GB",
            run="ops.bench.contenders.alone:opened_large",
            engine="embedded",
        ),
        Contender(
            name="empty",
            title="an empty log",
            run="ops.bench.contenders.alone:opened_empty",
            engine="embedded",
        ),
    ),
    stage="nothing",
    prepare="ops.bench.contenders.alone:fill",
    count=10_000,
    counted="MB",
    quick=10,
)
