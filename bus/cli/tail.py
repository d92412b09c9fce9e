"""`stadtbus tail`: the events of a topic, decoded, as they come."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Kafka, Registry, client_settings
from bus.cli.when import instant

if TYPE_CHECKING:
    from bus.cli.span import Span
    from bus.kafka import Fetched, LogReader
    from bus.settings import Settings

IDLE = 0.1
"""Seconds between two looks at a topic that had nothing new."""

SKIPPED = 7


def tail(
    topic: Annotated[str, typer.Argument(help="the topic to read")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="from then on: 1h, or 2026-11-21T08:00:00Z")
    ] = None,
    offset: Annotated[
        int | None, typer.Option(min=0, help="from this offset on, in each partition")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="from the newest N on")] = None,
    everything: Annotated[bool, typer.Option("--all", help="from the beginning")] = False,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="stop at what came then or later")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="stop at what is the end now")] = False,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help="stop after so many events")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="bytes and headers, not decoded")] = False,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Annotated[
        Format | None,
        typer.Option(
            "-o",
            "--output",
            help="[default: table on a terminal, json elsewhere]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the events of a topic as they come, or those that came.

    On a terminal an event is a line to read; piped into a program it is a line of JSON. What
    cannot be decoded is told on standard error, and reading goes on; the exit code is 7 then.
    """
    from bus.cli.span import Span

    now = datetime.now(UTC)
    span = Span(
        since=instant(since, now=now, where="--since") if since else None,
        until=instant(until, now=now, where="--until") if until else None,
        offset=offset,
        last=last,
        everything=everything,
        to_end=end,
    )
    settings = client_settings(kafka, registry)
    chosen = output or (Format.table if sys.stdout.isatty() else Format.json)
    raise typer.Exit(asyncio.run(_tail(settings, topic, span, limit, raw, chosen)))


async def _tail(
    settings: "Settings",
    topic: str,
    span: "Span",
    limit: int | None,
    raw: bool,
    output: Format,
) -> int:
    from bus.cli.decoding import Decoder
    from bus.cli.decoding import raw as undecoded
    from bus.errors import UndecodableEvent
    from bus.kafka import LogReader
    from bus.schemas import SchemaClient

    shown, skipped = 0, 0
    async with LogReader(settings.kafka) as reader, SchemaClient.of(settings) as schemas:
        decoder = Decoder(schemas)
        async for record in records(reader, topic, span):
            try:
                _show(undecoded(record) if raw else await decoder.decode(record), output)
                shown += 1
            except UndecodableEvent as error:
                place = f"{record.topic}-{record.partition} at {record.offset}"
                say(f"! {place} cannot be decoded: {error.what}")
                skipped += 1
            if shown == limit:
                break
    return SKIPPED if skipped else 0


async def records(reader: "LogReader", topic: str, span: "Span") -> AsyncIterator["Fetched"]:
    """Yield a topic's records of a span, in the order of their partitions' offsets.

    Raises:
        NotFound: the topic does not exist.
        BusUnavailable: the engine cannot be reached.
    """
    bounds = await reader.bounds(topic)
    positions = await span.starts(reader, topic, bounds)
    if span.last is not None:
        async for record in _newest(reader, topic, positions, bounds, span.last):
            yield record
        positions = {p: end for p, (_, end) in bounds.items()}
    ends = {p: end for p, (_, end) in bounds.items()} if span.bounded else {}
    while True:
        idle = True
        for partition, position in positions.items():
            if partition in ends and position >= ends[partition]:
                continue
            for record in await reader.read(topic, partition, position, max_wait=0):
                idle = False
                positions[partition] = record.offset + 1
                if span.holds(record, ends.get(partition)):
                    yield record
        if idle and span.bounded:
            return
        if idle:
            await asyncio.sleep(IDLE)


async def _newest(
    reader: "LogReader",
    topic: str,
    positions: dict[int, int],
    bounds: Any,
    count: int,
) -> AsyncIterator["Fetched"]:
    """Yield the newest records of all partitions, in the order of time."""
    found: list[Fetched] = []
    for partition, start in positions.items():
        position = start
        while position < bounds[partition][1]:
            read = await reader.read(topic, partition, position, max_wait=0.5)
            if not read:
                break
            found.extend(record for record in read if record.offset < bounds[partition][1])
            position = read[-1].offset + 1
    found.sort(key=lambda record: (record.timestamp_ms, record.partition, record.offset))
    for record in found[-count:]:
        yield record


def _show(value: dict[str, Any], output: Format) -> None:
    if output is Format.json:
        emit({"v": 1, **value})
        return
    import json

    content = value["value"] if "value" in value else value.get("value_base64")
    data = "(tombstone)" if content is None else json.dumps(content, ensure_ascii=False)
    place = f"{value['partition']}:{value['offset']}"
    typer.echo(f"{value['timestamp']}  {place}  {value.get('key') or '-'}  {data}")
