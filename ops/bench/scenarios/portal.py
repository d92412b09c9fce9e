"""The page where there is very much to show."""

from ops.bench.model import Contender, Measure, Scenario
from ops.bench.town import NAMES

_TURNS = (
    "longest turn, first survey",
    "longest turn, later survey",
    "longest turn, pages",
    "longest turn of an idle loop beside it",
)

SCENARIO = Scenario(
    name="portal",
    title="The page: 5,000 topics, 2,000 groups, 1,000 contracts",
    what=(
        "One node with all its roles, on a folder with 5,000 topics (14,700 partitions that hold "
        "events, 100 topics of dead letters), 2,000 groups with 18,000 positions, of which every "
        "tenth group is late, and 1,000 contracts in force. Each page is asked for 50 times, one "
        "after the other, on one connection, from the first request that the node gets on; lists "
        "also filtered, sorted and at their end. The time is that from the request's first byte "
        "to the answer's last, with the client on the same cores. A survey is the look at all "
        "topics and groups that the pages are made of; the first asks for everything. The longest "
        "turn of the node's event loop is what the node tells itself: while the first survey runs, "
        "while a later one does, and while pages are asked for."
    ),
    verified="Every page is answered with status 200, and every list says that it has as many rows "
    "as there are.",
    measures=(
        Measure(name="first survey", unit="s", better="less", digits=2),
        Measure(name="later survey", unit="s", better="less", digits=2),
        *(Measure(name=name, unit="ms", better="less", digits=1) for name in _TURNS),
        *(
            Measure(name=f"{page}: {which}", unit="ms", better="less", digits=1)
            for page in NAMES
            for which in ("p50", "p99", "worst")
        ),
    ),
    contenders=(
        Contender(
            name="embedded",
            title="embedded broker",
            run="ops.bench.contenders.portal:shown",
            engine="embedded",
        ),
    ),
    stage="nothing",
    prepare="ops.bench.contenders.filling:fill",
    count=5_000,
    counted="topics",
    quick=50,
)
