"""Typed events in bulk."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="publish-bulk",
    title="Publish typed events in bulk",
    what=(
        "Events of the shipped address contract (12 fields, three partitions), published as fast "
        "as one process can: validated, encoded with Avro, with all eight headers of the wire "
        "contract, idempotent, acknowledged by all replicas. `publish_many` takes 5,000 events at "
        "a time; confluent-kafka's queue takes as many as it holds, with a linger of 5 ms; the "
        "plain loop encodes with fastavro and fills aiokafka's own batches."
    ),
    verified=(
        "Every event has its acknowledgement. Afterwards the topic is read back: all events are "
        "there once, each under an id of its own, in order within each partition, with the data "
        "that went in and with all eight headers."
    ),
    measures=(Measure(name="throughput", unit="events/s", better="more"),),
    contenders=(
        Contender(
            name="stadtbus", title="Stadtbus", run="ops.bench.contenders.stadtbus:publish_bulk"
        ),
        Contender(
            name="confluent",
            title="confluent-kafka with AvroSerializer",
            run="ops.bench.contenders.confluent:publish_bulk",
        ),
        Contender(
            name="loop",
            title="loop over fastavro and aiokafka",
            run="ops.bench.contenders.loop:publish_bulk",
        ),
    ),
    count=200_000,
    counted="events",
    quick=2_000,
)
