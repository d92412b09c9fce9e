"""What the demo shows to the person at the terminal."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bus.cli.decoding import Decoder
from bus.cli.demo.mistakes import Mistake
from bus.cli.edge import say
from bus.contracts import Contract
from bus.errors import BusError, UndecodableEvent
from bus.kafka import LogReader
from bus.node import Ready
from bus.schemas import SchemaClient
from bus.settings import variable
from bus.watch.surveyor import Surveyor

EVERY = 5
"""Seconds between two sentences about how far subscribers are."""


class Scenes:
    """Tells the demo's story on standard error; silent where a program is listening.

    Args:
        quiet: say nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._seconds = 0
        self._seen: dict[str, int] = {}

    def introduce(
        self,
        ready: Ready,
        contracts: Sequence[Contract],
        data: Path,
        rate: float,
        moved: Mapping[str, int],
        seconds: float,
        *,
        traffic: bool,
    ) -> None:
        """Say what runs where, and how another terminal finds it."""
        own = "broker" in ready.roles
        for role, port in moved.items():
            self._say(f"! the usual port of {role} is taken, so it listens on {port}")
        kind = f"Kafka protocol, data in {data}" if own else "Apache Kafka"
        self._say(f"✔ Broker     {ready.broker:22} {kind}")
        self._say(f"✔ Registry   {ready.registry}")
        self._say(f"✔ Page       {ready.portal}  Deutsch · English")
        for contract in contracts:
            rule = f"{len(contract.versions)} version(s), {contract.compatibility}"
            self._say(f"✔ Contract   {contract.topic}: {rule}")
        self._say(f"✔ Metrics    {ready.ops}/metrics")
        self._say(f"✔ Publishing Berlin: addresses · Münster: bicycle counts · {rate:g} events/s")
        self._say("✔ Receiving  geodaten: address book · statistik: count report (slowed down)")
        if traffic:
            self._say(f"✔ Map        Köln: a recorded morning's traffic · {ready.portal}/traffic")
        else:
            self._say("! Köln's traffic is left out: its view needs pip install 'stadtbus[views]'")
        if moved or not own:
            self._say("Try, in another terminal, with these settings:")
            self._say(f"      export {variable('kafka.bootstrap')}={ready.broker}")
            self._say(f"      export {variable('registry.url')}={ready.registry}")
        else:
            self._say("Try, in another terminal:")
        for arguments in ("tail sensor.reading.v1", "group lag", "dead ls"):
            self._say(f"      {command()} {arguments}")
        warning = "Demo only: no login, this machine only. " if own else ""
        self._say(f"Ready in {seconds:.1f} s. {warning}Ctrl-C stops, --reset begins anew.\n")

    def breaking_schema(self, refusal: str | None) -> None:
        """Say what became of the breaking schema."""
        if refusal is None:
            self._say("✘ a schema that breaks readers was taken: this is a fault")
        else:
            self._say(f"✘ schema refused: {refusal}")

    def malformed(self, mistakes: tuple[Mistake, ...]) -> None:
        """Say which malformed events are on their way."""
        for mistake in mistakes:
            self._say(f"! malformed event on {mistake.topic}: {mistake.what}")
        self._say("  Each is set aside by its subscriber; the next event goes on.\n")

    async def second(
        self,
        surveyor: Surveyor,
        reader: LogReader,
        schemas: SchemaClient,
        subscriptions: Mapping[str, str],
    ) -> None:
        """Show the newest event of each topic and, now and then, how far subscribers are."""
        if self._quiet:
            return
        self._seconds += 1
        try:
            for topic in subscriptions.values():
                await self._newest(reader, Decoder(schemas), topic)
            if self._seconds % EVERY == 0:
                await self._progress(surveyor, subscriptions)
        except BusError as error:
            self._say(f"! {error}")

    def close(self, summary: Mapping[str, Any]) -> None:
        """Say how it ended."""
        late = f"{summary['late']} too late to count, " if summary["late"] else ""
        delivered = ", ".join(
            f"{count} to {group}" for group, count in summary["delivered"].items()
        )
        self._say(
            f"\n{summary['published']} published, {summary['acknowledged']} acknowledged, "
            f"{delivered}; {late}{summary['refused']} refused on purpose, "
            f"{summary['dead_letters']} set aside"
        )
        match summary["lost"]:
            case None:
                self._say("Stopped before every subscriber had read to the end.")
            case 0:
                self._say("✔ Nothing was lost.")
            case lost:
                self._say(f"✘ {lost} acknowledged events did not reach a subscriber.")

    async def _newest(self, reader: LogReader, decoder: Decoder, topic: str) -> None:
        bounds = await reader.bounds(topic)
        total = sum(end for _, end in bounds.values())
        if total == self._seen.get(topic, 0):
            return
        self._seen[topic] = total
        partition, (_, end) = max(bounds.items(), key=lambda item: item[1][1])
        for record in await reader.read(topic, partition, end - 1, max_wait=0.2):
            try:
                event = await decoder.decode(record)
            except UndecodableEvent:
                continue
            self._say(f"  {event['timestamp'][11:19]}  {sentence(topic, event['value'])}")
            return

    async def _progress(self, surveyor: Surveyor, subscriptions: Mapping[str, str]) -> None:
        survey = await surveyor.survey(list(subscriptions))
        for lag in survey.subscriptions():
            name = lag.group.rpartition(".")[2]
            if not lag.records:
                self._say(f"✔ {name} has read everything")
            elif lag.seconds is not None:
                behind = f"{name} is {lag.records} events behind, {lag.seconds:.1f} s"
                late = lag.promise is not None and lag.seconds > lag.promise
                self._say(f"! {behind}, promised {lag.promise:g} s" if late else f"✔ {behind}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            say(text)


def command() -> str:
    """Return what a person at this terminal types to run the command."""
    called = Path(sys.argv[0])
    if called.name != "stadtbus" or shutil.which("stadtbus"):
        return "stadtbus"
    here = Path.cwd()
    return str(called.relative_to(here) if called.is_relative_to(here) else called)


def sentence(topic: str, value: Mapping[str, Any]) -> str:
    """Return an event of one of the demo's topics as a person would tell it."""
    if topic.startswith("address."):
        number = f"{value['number'] or ''}{value['suffix'] or ''}"
        place = f"{value['street']} {number}".strip()
        return f"Berlin   {place}, {value['postcode']} {value['place']}: {value['change'].lower()}"
    if topic.startswith("mobility."):
        time = datetime.fromisoformat(value["observed_at"])
        where = f"segment {value['segment']}, {time:%d %b %H:%M} UTC"
        return f"Köln     {where}: load code {value['load_code']}"
    time = datetime.fromisoformat(value["phenomenon_time"])
    result = "a gap" if value["result"] is None else f"{value['result']:.0f}"
    what = f"{value['observed_property']} of {value['interval_seconds'] // 60} min"
    return f"Münster  station {value['thing']}, {time:%d %b %H:%M} UTC, {what}: {result}"
