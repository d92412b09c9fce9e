"""From the publisher's intention to the subscriber's handler, at a fixed rate."""

from ops.bench.model import Case, Contender, Measure, Scenario

SCENARIO = Scenario(
    name="latency",
    title="End-to-end latency at a fixed rate",
    what=(
        "One process publishes typed events one by one on a fixed schedule, whatever the answers "
        "take, another one has them handed over one by one. Latency counts from the moment that an "
        "event was meant to be sent to the moment that its handler begins, data decoded, so a "
        "sender or engine that falls behind pays for every event that had to wait (no coordinated "
        "omission). Each run takes ten seconds after one to warm up. The peer is aiokafka's "
        "producer without a linger and its consumer in a group, with fastavro."
    ),
    verified=(
        "Every event has to arrive, once, in order within its partition, unaltered (as for "
        "consuming), and not before it was meant to be sent. Afterwards the topic is read back."
    ),
    measures=(
        Measure(name="p50", unit="ms", better="less", digits=2),
        Measure(name="p99", unit="ms", better="less", digits=2),
        Measure(name="p99.9", unit="ms", better="less", digits=2),
    ),
    contenders=(
        Contender(name="stadtbus", title="Stadtbus", run="ops.bench.contenders.latency:stadtbus"),
        Contender(
            name="loop",
            title="loop over fastavro and aiokafka",
            run="ops.bench.contenders.latency:loop",
        ),
    ),
    cases=(
        Case(name="500 events/s", values={"rate": 500}),
        Case(name="2,000 events/s", values={"rate": 2000}),
    ),
    count=10,
    counted="seconds",
    quick=1,
)
