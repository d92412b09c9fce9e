"""The page, on a node that holds thousands of topics, groups and contracts."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bus.settings import Address as Listen
from ops.bench.contenders.alone import LONGEST_TURN, TOLD_AFTER, noted, series, told
from ops.bench.contenders.idle import idle_loop
from ops.bench.figures import percentile
from ops.bench.http import Connection, request
from ops.bench.model import Task, Unverified
from ops.bench.town import Address, Town, addresses
from ops.node import NodeProcess

SURVEYED_AT = "stadtbus_survey_timestamp_seconds"
SURVEY_TOOK = "stadtbus_survey_duration_seconds"

TIMES = 50
"""How often each page is asked for."""

PATIENCE = 400.0
"""Seconds that a survey may be away: they take a tenth of the time at the most."""

_TOTAL = re.compile(rb"[0-9,]+ to [0-9,]+ of ([0-9,]+)")


def shown(task: Task) -> Mapping[str, float]:
    """Ask for all pages; watch surveys and the event loop before that, meanwhile and after."""
    figures: dict[str, float] = {}
    with NodeProcess(Path(task.prepared["data"])) as node:
        with _longest_turn(node, figures, "longest turn, first survey"):
            figures["first survey"] = _surveyed(node, 0.0)
        with _longest_turn(node, figures, "longest turn, pages"):
            took = asyncio.run(_asked(node, addresses(Town(task.count))))
        with idle_loop() as idle, _longest_turn(node, figures, "longest turn, later survey"):
            figures["later survey"] = _surveyed(node, time.time())
        figures["longest turn of an idle loop beside it"] = idle() * 1000
    for name, seconds in took.items():
        seconds.sort()
        figures[f"{name}: p50"] = percentile(seconds, 50) * 1000
        figures[f"{name}: p99"] = percentile(seconds, 99) * 1000
        figures[f"{name}: worst"] = seconds[-1] * 1000
    return figures


@contextmanager
def _longest_turn(node: NodeProcess, figures: dict[str, float], name: str) -> Iterator[None]:
    time.sleep(TOLD_AFTER)  # what was done before is told by then
    with noted(node, partial(told, LONGEST_TURN)) as turns:
        yield
        time.sleep(TOLD_AFTER)
    figures[name] = max(turns) * 1000


def _surveyed(node: NodeProcess, since: float) -> float:
    """Return how long a survey took that began after a time (seconds since 1970)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        (at,), (took,) = series(SURVEYED_AT, node), series(SURVEY_TOOK, node)
        if at - took > since:
            return took
        time.sleep(0.25)
    raise Unverified(f"no survey was made within {PATIENCE:g} s")


async def _asked(node: NodeProcess, pages: list[Address]) -> Mapping[str, list[float]]:
    """Return how long each page took, time for time."""
    host = Listen.parse(node.ready["portal"].removeprefix("http://"))
    took: dict[str, list[float]] = {page.name: [] for page in pages}
    connection = await Connection.to(host)
    try:
        for _ in range(TIMES):
            for page in pages:
                path = f"{page.path}{'&' if '?' in page.path else '?'}lang=en"
                begun = time.perf_counter()
                status, body = await connection.ask(request("GET", path, str(host)))
                took[page.name].append(time.perf_counter() - begun)
                _check(page, status, body)
    finally:
        connection.close()
    return took


def _check(page: Address, status: int, body: bytes) -> None:
    if status != 200:
        raise Unverified(f"{page.path} is answered with {status}")
    if page.rows:
        found = _TOTAL.search(body)
        total = int(found[1].replace(b",", b"")) if found else 0
        if total < page.rows:
            raise Unverified(f"{page.path} has {total} rows, not {page.rows}")
