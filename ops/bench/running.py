"""Running a scenario: every contender a process of its own, in turn (A B A B …)."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bus.cli.demo.programs import end_with_parent
from bus.errors import BusError
from ops.bench.contender import UNVERIFIED
from ops.bench.figures import Outcome, Row, Series
from ops.bench.model import Case, Contender, Engine, Scenario, Task, Unverified
from ops.bench.stage import Place, staged
from ops.kafka import Missing

LONGEST_SECONDS = 600.0
"""How long one contender's run may take."""

Say = Callable[[str], None]
Reading = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    Args:
        engine: what scenarios run on that do not compare engines.
        rounds: how often each contender runs.
        count: instead of each scenario's own.
        quick: each scenario's small count, and no rounds to warm up: no measurement.
    """

    engine: Engine
    rounds: int = 5
    count: int | None = None
    quick: bool = False

    def count_of(self, scenario: Scenario) -> int:
        """Return how much each run of a scenario does."""
        return self.count or (scenario.quick if self.quick else scenario.count)

    def engine_of(self, scenario: Scenario) -> str:
        """Return what a scenario's figures are about: an engine, or both."""
        if scenario.stage == "bus":
            return self.engine
        (first, *others) = {one.engine or self.engine for one in scenario.contenders}
        return "both" if others else first


def measured(scenario: Scenario, plan: Plan, say: Say) -> Outcome:
    """Run all cases of a scenario, and return its figures, or why there are none."""
    begun = time.monotonic()
    outcome = partial(
        Outcome,
        scenario=scenario.name,
        engine=plan.engine_of(scenario),
        date=date.today().isoformat(),  # noqa: DTZ011  # the day as it is here
        count=plan.count_of(scenario),
    )
    rows: list[Row] = []
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            staged(scenario, plan.engine, Path(folder)) as places,
        ):
            for number, case in enumerate(scenario.cases):
                rows.extend(_case(scenario, case, number, plan, places, folder, say))
    except Missing as error:
        say(f"{scenario.name}: not run: {error}")
        return outcome(state="not run", reason=str(error))
    except (Unverified, BusError) as error:
        say(f"{scenario.name}: not verified: {error}")
        return outcome(state="not verified", reason=str(error))
    return outcome(seconds=time.monotonic() - begun, rows=tuple(rows))


def _case(
    scenario: Scenario,
    case: Case,
    number: int,
    plan: Plan,
    places: Mapping[Engine, Place],
    folder: str,
    say: Say,
) -> list[Row]:
    count = plan.count_of(scenario)

    def task(
        name: str,
        engine: Engine | None,
        prepared: Mapping[str, Any],
        configs: Mapping[str, str] = MappingProxyType({}),
    ) -> Task:
        place = places.get(engine or plan.engine, Place(bootstrap=""))
        return Task(
            name=f"{scenario.name}-{number}-{name}",
            count=count,
            bootstrap=place.bootstrap,
            registry=place.registry,
            case=case.values,
            prepared=prepared,
            folder=folder,
            configs=dict(configs),
        )

    prepared: Mapping[str, Any] = {}
    if scenario.prepare:
        prepared = run(scenario.prepare, task("prepare", None, {}))
    warm = 0 if plan.quick else scenario.warm
    readings: dict[Contender, list[Reading]] = {one: [] for one in scenario.contenders}
    for turn in range(warm + plan.rounds):
        for contender, taken in readings.items():
            name = f"{contender.name}-{turn}"
            asked = task(name, contender.engine, prepared, contender.configs)
            reading = run(contender.run, asked)
            place = " ".join(filter(None, [scenario.name, case.name, contender.name]))
            say(f"{place}: {_told(reading)}{' (warming up)' if turn < warm else ''}")
            if turn >= warm:
                taken.append(reading)
    return rows_of(scenario, case, list(readings.values()))


def rows_of(scenario: Scenario, case: Case, readings: Sequence[Sequence[Reading]]) -> list[Row]:
    """Return a row for each measure, from each contender's readings.

    Raises:
        Unverified: a contender did not report a measure.
    """
    try:
        return [
            Row(
                case=case.name,
                measure=measure,
                series=tuple(
                    Series(
                        contender=contender.name,
                        title=contender.title,
                        runs=tuple(reading[measure.name] for reading in taken),
                    )
                    for contender, taken in zip(scenario.contenders, readings, strict=True)
                ),
            )
            for measure in scenario.measures
        ]
    except KeyError as error:
        raise Unverified(f"{scenario.name}: a contender did not report {error}") from error


def run(place: str, task: Task, *, seconds: float = LONGEST_SECONDS) -> Mapping[str, Any]:
    """Run a contender in a process of its own, and return what it reported.

    Raises:
        Unverified: it found its data not to be what they should be, failed, or took too long.
    """
    command = [sys.executable, "-m", "ops.bench.contender", place, task.to_text()]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # async-signal-safe calls only
    ) as process:
        try:
            said, complained = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Unverified(f"{task.name} took longer than {seconds:g} s") from None
        finally:
            _end_all(process.pid)
    if process.returncode == UNVERIFIED:
        raise Unverified(f"{task.name}: {complained.strip().splitlines()[-1]}")
    if process.returncode:
        raise Unverified(f"{task.name} failed: {complained.strip()[-2000:]}")
    reported: Mapping[str, Any] = json.loads(said.splitlines()[-1])
    return reported


def _end_all(group: int) -> None:
    """End a contender with everything that it started, if anything is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _told(reading: Reading) -> str:
    return ", ".join(f"{name} {value:,.6g}" for name, value in reading.items())
