"""Events on their way from a shared topic to the feed of an open contract."""

from ops.bench.model import Contender, Measure, Scenario

SCENARIO = Scenario(
    name="pass-through",
    title="Pass events through to a feed",
    what=(
        "A topic with three partitions, filled for each run, is copied with key, value and headers "
        "to another topic with as many partitions. The clock runs from the first 500 records that "
        "readers of committed records can see there to the last. Ours is the router: it checks the "
        "envelope, decodes the data, checks key and partition, drops repeats, adds where the event "
        "came from, and writes feeds and position in transactions. Its peers consume and produce "
        "with aiokafka and look at nothing: once with an idempotent producer and a position that "
        "is committed every second, once in transactions of as many records as the router's."
    ),
    verified=(
        "The copy is read back: each event's key, id and all fields in the order of its partition "
        "have to be those of the events that were published, all of them, once."
    ),
    measures=(Measure(name="throughput", unit="events/s", better="more"),),
    contenders=(
        Contender(name="stadtbus", title="the router", run="ops.bench.contenders.routing:router"),
        Contender(
            name="copy",
            title="consume and produce with aiokafka",
            run="ops.bench.contenders.routing:copy",
        ),
        Contender(
            name="transactions",
            title="the same in transactions",
            run="ops.bench.contenders.routing:copy_in_transactions",
        ),
    ),
    count=100_000,
    counted="events",
    quick=2_000,
)
