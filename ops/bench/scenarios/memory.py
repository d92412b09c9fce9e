"""The embedded broker's memory after many records."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="memory",
    title="The embedded broker: memory after ten million records",
    what=(
        "The resident memory of the broker's process before and after records of 200 bytes went "
        "through it, produced and then consumed by aiokafka."
    ),
    verified="What is consumed is what was produced, in order, byte for byte.",
    measures=(
        Measure(name="before", unit="MB", better="less"),
        Measure(name="after", unit="MB", better="less"),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.alone:loaded",
            engine="embedded",
        ),
    ),
    stage="nothing",
    count=10_000_000,
    counted="records",
    quick=5_000,
)
