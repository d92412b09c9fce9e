"""A subscriber that was away."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="catch-up",
    title="Catch up with a backlog",
    what=(
        "A subscriber is a million events behind and reads until it has them all; the most memory "
        "that its process had tells whether it reads ahead without limit. The peer is the plain "
        "loop, the fastest reader that one would write without a library."
    ),
    verified="As for consuming.",
    measures=(
        Measure(name="time", unit="s", better="less", digits=1),
        Measure(name="memory", unit="MB", better="less"),
    ),
    contenders=(
        Contender(name="stadtbus", title="Stadtbus", run="ops.bench.contenders.stadtbus:catch_up"),
        Contender(
            name="loop",
            title="loop over fastavro and aiokafka",
            run="ops.bench.contenders.loop:catch_up",
        ),
    ),
    prepare="ops.bench.contenders.stadtbus:load",
    count=1_000_000,
    counted="events",
    quick=5_000,
)
