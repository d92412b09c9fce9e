"""The registry: reads."""

from ops.bench.model import Case, Contender, Measure, Scenario

SCENARIO = Scenario(
    name="registry-reads",
    title="Registry: reads",
    what=(
        "Sixteen connections that each ask again once they have their answer: for a schema by its "
        "id, and for the latest version of a subject. The peer is an ASGI application that knows "
        "nothing and returns the same bytes, under uvicorn with the same options. On the embedded "
        "engine broker and registry are one process. The client runs beside, on the same cores."
    ),
    verified="Every answer has to have status 200 and the very bytes that the registry gave at "
    "first, whose schema is the one that was registered.",
    measures=(
        Measure(name="answers", unit="answers/s", better="more"),
        Measure(name="p50", unit="ms", better="less", digits=2),
        Measure(name="p99", unit="ms", better="less", digits=2),
    ),
    contenders=(
        Contender(
            name="stadtbus", title="Stadtbus", run="ops.bench.contenders.registry:read_registry"
        ),
        Contender(
            name="bare",
            title="bare ASGI application",
            run="ops.bench.contenders.registry:read_bare",
        ),
    ),
    cases=(
        Case(name="schema by id", values={"what": "id"}),
        Case(name="latest version", values={"what": "latest"}),
    ),
    prepare="ops.bench.contenders.registry:prepare",
    count=10_000,
    counted="requests",
    quick=200,
)
