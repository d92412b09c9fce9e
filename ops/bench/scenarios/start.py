"""Engine against engine: start-up and memory."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="start",
    title="The engines: start-up, memory, first load",
    what=(
        "The engine's process alone: from its start, on a folder that it has used before, until it "
        "answers a request for metadata; its resident memory after two idle seconds, and again "
        "after records of 200 bytes were produced and consumed by aiokafka as above, which are the "
        "first that this process sees. Apache Kafka runs with a heap of 256 to 768 MB."
    ),
    verified="The load as above; a process that does not answer has no figure.",
    measures=(
        Measure(name="ready", unit="s", better="less", digits=2),
        Measure(name="idle memory", unit="MB", better="less"),
        Measure(name="loaded memory", unit="MB", better="less"),
        Measure(name="first produce", unit="records/s", better="more"),
        Measure(name="first consume", unit="records/s", better="more"),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.start:embedded",
            engine="embedded",
        ),
        Contender(
            name="kafka",
            title="Apache Kafka, one node",
            run="ops.bench.contenders.start:kafka",
            engine="kafka",
        ),
    ),
    stage="nothing",
    count=500_000,
    counted="records",
    quick=5_000,
)
