"""Typed events, read in bulk."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="consume",
    title="Consume typed events",
    what=(
        "One topic with three partitions, filled beforehand, read from its beginning by a group of "
        "one member that commits its position every second. The clock runs from the first records "
        "in hand, not yet decoded, to the last commit; every contender reads the headers and "
        "decodes the data. Ours checks the envelope, drops repeats and checks every byte of the "
        "data besides."
    ),
    verified=(
        "Each event is folded into a chain of hashes of its partition as it comes (key, id and all "
        "fields); the chains have to be those of the events that were published: all, once, in "
        "order, unaltered. The folding is inside the clock, the same for all. What was "
        "prepared is read back before anybody is measured."
    ),
    measures=(Measure(name="throughput", unit="events/s", better="more"),),
    contenders=(
        Contender(name="stadtbus", title="Stadtbus", run="ops.bench.contenders.stadtbus:consume"),
        Contender(
            name="confluent",
            title="confluent-kafka with AvroDeserializer",
            run="ops.bench.contenders.confluent:consume",
        ),
        Contender(
            name="loop",
            title="loop over fastavro and aiokafka",
            run="ops.bench.contenders.loop:consume",
        ),
    ),
    prepare="ops.bench.contenders.stadtbus:load",
    count=200_000,
    counted="events",
    quick=2_000,
)
