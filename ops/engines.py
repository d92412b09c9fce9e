"""Writes docs/engines.md: what both engines do, and where the embedded broker differs.

    python -m ops.engines [FILE]

The table is made from the suite that both engines must pass, tests/engines, as pytest collects it:
a behaviour is a test function, named by the first line of its docstring. A test holds it up to
date.
"""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "tests" / "engines"
PAGE = ROOT / "docs" / "engines.md"
ENGINES = EMBEDDED, KAFKA = "embedded", "kafka"
KINDS = {"lacking": "not yet", "differs": "differs"}
"""The suite's marks, and how the page calls them."""

ORDER = (
    "produce",
    "fetch",
    "offsets",
    "topics",
    "configs",
    "retention",
    "groups",
    "transactions",
    "security",
    "clients",
    "connections",
)
"""Areas in the order of a reader's interest, as their modules' names begin; then all others."""

HEAD = """# Two engines

Stadtbus runs on one of two engines, without a changed line: both speak the Kafka protocol.

- **The embedded broker** (`stadtbus serve`, role `broker`): one process, one SQLite database, no
  Java. It is ready at once and needs some tens of megabytes. Every acknowledged event is on the
  disk, but there is one machine and one disk: [backups](operation.md) are yours to make. Take it to
  develop, to test, to show, for a town, and for any bus that may stand still while its machine
  does. It listens on its own machine alone until it is [secured](security.md).
- **Apache Kafka** (`stadtbus serve --kafka HOST:PORT,…`): replicated over several machines. Take it
  in production for a region, a state or a country: wherever the loss of a machine must not stop the
  bus, or where more is written than one disk takes.

A bus can begin on the one and move to the other: contracts, programs and clients stay as they are.

The table below is made by `python -m ops.engines` from the suite in `tests/engines`. Each behaviour
is written there once, with Apache Kafka's answer as what is expected, and tried on both engines.

- **✔**: tried, and as described.
- **not yet**: the embedded broker does not do this yet. The test is expected to fail there, and the
  suite turns red the moment it passes. Do not build on it with the embedded broker.
- **differs**: the embedded broker answers differently, on purpose and for good; both answers are
  tried.

Where only some cases of a behaviour are concerned, these are named.

"""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a behaviour on the embedded broker: its name, and its deviation if it has one."""

    name: str
    kind: str = ""
    reason: str = ""


@dataclass(slots=True)
class Behaviour:
    """A test function: what it says, the module that it is in, and its cases."""

    module: str
    area: str
    sentence: str
    cases: list[Case] = field(default_factory=list)
    engines: set[str] = field(default_factory=set)

    def status(self) -> str:
        """Say how the embedded broker does."""
        kinds = {(case.kind, case.reason) for case in self.cases}
        if len(kinds) == 1:
            ((kind, reason),) = kinds
            return f"{kind}: {reason}" if kind else "✔"
        said = ["✔"] if any(not case.kind for case in self.cases) else []
        deviating = sorted((case for case in self.cases if case.kind), key=_deviation)
        for (kind, reason), cases in groupby(deviating, key=_deviation):
            names = ", ".join(f"*{case.name}*" for case in cases)
            said.append(f"{kind} ({names}): {reason}")
        return "; ".join(said)


def _deviation(case: Case) -> tuple[str, str]:
    return case.kind, case.reason


class _Collected:
    """A plugin of pytest that keeps what was collected."""

    def __init__(self) -> None:
        self.items: Sequence[pytest.Item] = ()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def behaviours(suite: Path = SUITE) -> list[Behaviour]:
    """Return the suite's behaviours, in the order of the page.

    Raises:
        ValueError: the suite cannot be collected, or a test says nothing of itself or is not
            parametrised by both engines.
    """
    collected, said = _Collected(), io.StringIO()
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    with redirect_stdout(said):
        code = pytest.main([*options, str(suite)], plugins=[collected])
    if code is not pytest.ExitCode.OK:
        raise ValueError(f"the suite cannot be collected:\n{said.getvalue()}")
    found: dict[tuple[str, str], Behaviour] = {}
    for item in collected.items:
        assert isinstance(item, pytest.Function)
        behaviour = found.setdefault((item.module.__name__, item.function.__name__), _of(item))
        engine, name = _case(item)
        behaviour.engines.add(engine)
        if engine == EMBEDDED:
            behaviour.cases.append(_judged(item, name))
    for (module, function), behaviour in found.items():
        if behaviour.engines != set(ENGINES):
            raise ValueError(f"{module}.{function} does not run on both engines")
    return sorted(found.values(), key=lambda one: _rank(one.module))


def _of(item: pytest.Function) -> Behaviour:
    module = item.module.__name__.rpartition(".")[2].removeprefix("test_")
    said = item.function.__doc__, item.module.__doc__
    if not all(said):
        raise ValueError(f"{item.nodeid} or its module has no docstring")
    sentence, area = (str(text).partition("\n")[0] for text in said)
    return Behaviour(module, area.rstrip("."), sentence.rstrip("."))


def _case(item: pytest.Function) -> tuple[str, str]:
    """Return the engine that a test runs on, and the name of its case there."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    engine = str(parameters.get("engine", ""))
    name = re.sub(rf"(^|-){re.escape(engine)}(?=-|$)", "", item.callspec.id) if engine else ""
    return engine, name.strip("-")


def _judged(item: pytest.Function, name: str) -> Case:
    for mark, kind in KINDS.items():
        found = item.get_closest_marker(mark)
        if found is not None:
            return Case(name, kind, found.args[0])
    return Case(name)


def _rank(module: str) -> tuple[int, str]:
    first = module.partition("_")[0]
    return (ORDER.index(first) if first in ORDER else len(ORDER)), module


def page(found: Sequence[Behaviour]) -> str:
    """Return the page."""
    return "".join([HEAD, _versions(), _sum(found), *_areas(found)])


def _versions() -> str:
    pom = (ROOT / "ops" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    (kafka,) = re.findall(r"<kafka\.version>(.+)</kafka\.version>", pom)
    clients = ", ".join(
        f"{name} {version(name)}" for name in ("aiokafka", "confluent-kafka", "faust-streaming")
    )
    return (
        f"Tried with Apache Kafka {kafka} (KRaft), and with the clients {clients}, Debian's kcat "
        "and Apache Kafka's own tools in Java.\n\n"
    )


def _sum(found: Sequence[Behaviour]) -> str:
    kinds = [{case.kind for case in one.cases} for one in found]
    alike = kinds.count({""})
    lacking, differing = (sum(kind in one for one in kinds) for kind in KINDS.values())
    missing = f"; {lacking} are not there yet, or not in every case" if lacking else ""
    return (
        f"Of {len(found)} behaviours, the embedded broker has {alike}{missing}; in {differing} it "
        "differs.\n"
    )


def _areas(found: Sequence[Behaviour]) -> Iterator[str]:
    heading = ""
    for area, rows in groupby(found, key=lambda one: one.area):
        title, _, about = area.partition(": ")
        if title != heading:
            yield f"\n## {title}\n"
            heading = title
        if about:
            yield f"\n{about[0].upper()}{about[1:]}.\n"
        yield "\n| behaviour | embedded | Apache Kafka |\n| --- | --- | --- |\n"
        for one in rows:
            yield f"| {_cell(one.sentence)} | {_cell(one.status())} | ✔ |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    try:
        file.write_text(page(behaviours()), encoding="utf-8")
    except ValueError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
