"""Engine against engine: records in bulk."""

from ops.bench.model import Case, Contender, Measure, Scenario

EACH_SYNCED = {"flush.messages": "1"}
"""Of an Apache Kafka topic: what is appended is synced before it is acknowledged."""

_CLIENTS = {"aiokafka": "aiokafka", "confluent": "confluent-kafka"}


def _case(client: str, partitions: int) -> Case:
    plural = "s" if partitions > 1 else ""
    return Case(
        name=f"{_CLIENTS[client]}, {partitions} partition{plural}",
        values={"client": client, "partitions": partitions},
    )


SCENARIO = Scenario(
    name="engines",
    title="The engines: records in bulk",
    what=(
        "Records of 200 bytes without keys, headers or compression, produced with idempotence and "
        "acks=all and then consumed by the same process: with aiokafka (`send_batch` of 64 kB, "
        "`getmany`) and with confluent-kafka (linger 5 ms, `consume`). The embedded broker syncs "
        "to disk before every acknowledgement. One Apache Kafka node leaves that to the operating "
        "system, which a power cut takes with it; the same node is measured a second time with "
        "topics that are synced as the embedded broker's are (`flush.messages=1`). Both engines "
        "run side by side for the whole scenario and take turns; one round goes before, so that "
        "the Java machine has compiled what it needs."
    ),
    verified=(
        "Each record carries its number; what is consumed of each partition has to be what was "
        "produced to it, in order, byte for byte (a running checksum, inside the clock)."
    ),
    measures=(
        Measure(name="produce", unit="records/s", better="more"),
        Measure(name="consume", unit="records/s", better="more"),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.records:produce_and_consume",
            engine="embedded",
        ),
        Contender(
            name="kafka",
            title="Apache Kafka, one node",
            run="ops.bench.contenders.records:produce_and_consume",
            engine="kafka",
        ),
        Contender(
            name="kafka-synced",
            title="Apache Kafka that syncs, too",
            run="ops.bench.contenders.records:produce_and_consume",
            engine="kafka",
            configs=EACH_SYNCED,
        ),
    ),
    stage="engines",
    cases=tuple(_case(client, partitions) for client in _CLIENTS for partitions in (1, 100)),
    count=500_000,
    counted="records",
    quick=5_000,
    warm=1,
)
