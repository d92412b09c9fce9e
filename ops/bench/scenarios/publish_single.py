"""Typed events, one at a time."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="publish-single",
    title="Publish typed events one at a time",
    what=(
        "The same events, each sent once the one before it is acknowledged, without a linger: "
        "what a system sees that announces facts as they happen. Mostly the way to the engine and "
        "back; the embedded broker syncs to disk before each acknowledgement, Apache Kafka does "
        "not."
    ),
    verified="As for events in bulk.",
    measures=(Measure(name="throughput", unit="events/s", better="more"),),
    contenders=(
        Contender(
            name="stadtbus", title="Stadtbus", run="ops.bench.contenders.stadtbus:publish_single"
        ),
        Contender(
            name="confluent",
            title="confluent-kafka with AvroSerializer",
            run="ops.bench.contenders.confluent:publish_single",
        ),
        Contender(
            name="loop",
            title="loop over fastavro and aiokafka",
            run="ops.bench.contenders.loop:publish_single",
        ),
    ),
    count=3_000,
    counted="events",
    quick=100,
)
