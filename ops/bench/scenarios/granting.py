"""Events of a restricted contract to those who are granted some of them."""

from ops.bench.model import Case, Contender, Measure, Scenario

SCENARIO = Scenario(
    name="granting",
    title="Give an event to those who may have it",
    what=(
        "Signed events of a restricted contract, in memory, to five recipients whose grants give "
        "three fields each, while so many grants exist: some by other municipalities, some with "
        "rows that do not match. Ours is the router's decision: it verifies the source's signature "
        "over salted digests, checks who may speak for whom and what grants say, makes the feeds' "
        "records with names of their own, attests each, and lists what is disclosed. The peer is a "
        "loop that knows the five: it verifies one signature over the record's bytes, decodes with "
        "fastavro, encodes and signs five times. Writing is in neither."
    ),
    verified=(
        "Ours has to make five records and five disclosures of each event; the loop's five "
        "signatures are verified for the last event, and so is the router's attestation."
    ),
    measures=(
        Measure(name="throughput", unit="events/s", better="more"),
        Measure(name="cost", unit="µs/event", better="less"),
    ),
    contenders=(
        Contender(
            name="stadtbus",
            title="the router's decision",
            run="ops.bench.contenders.granting:router",
            engine="embedded",
        ),
        Contender(
            name="loop",
            title="loop over cryptography and fastavro",
            run="ops.bench.contenders.granting:loop",
            engine="embedded",
        ),
    ),
    cases=tuple(
        Case(name=f"{grants:,} grants", values={"grants": grants})
        for grants in (10, 100, 10_000, 100_000)
    ),
    count=5_000,
    counted="events",
    quick=100,
    stage="nothing",
)
