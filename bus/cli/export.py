"""`stadtbus topic export`: records in a file, with all that it takes to check them elsewhere."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Kafka, Registry, client_settings
from bus.cli.when import instant

if TYPE_CHECKING:
    from bus.cli.span import Span
    from bus.settings import Settings

SKIPPED = 7


def export(
    topic: Annotated[str, typer.Argument(help="a shared topic or a feed")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="from then on: 1h, or 2026-11-21T08:00:00Z")
    ] = None,
    offset: Annotated[
        int | None, typer.Option(min=0, help="from this offset on, in each partition")
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="the newest N")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="up to what came before then")
    ] = None,
    kafka: Kafka = None,
    registry: Registry = None,
) -> None:
    """Write a topic's records as lines of JSON, each with the schema that it was signed under.

    Everything up to what is the end now, unless less is asked for. `stadtbus verify` reads such a
    file. If a schema is not known, that is told on standard error, and the exit code is 7.
    """
    from bus.cli.span import Span

    now = datetime.now(UTC)
    span = Span(
        since=instant(since, now=now, where="--since") if since else None,
        until=instant(until, now=now, where="--until") if until else None,
        offset=offset,
        last=last,
        everything=True,
        to_end=True,
    )
    raise typer.Exit(asyncio.run(_export(client_settings(kafka, registry), topic, span)))


async def _export(settings: "Settings", topic: str, span: "Span") -> int:
    from bus.cli.tail import records
    from bus.errors import NotFound, UndecodableEvent
    from bus.kafka import LogReader
    from bus.schemas import SchemaClient
    from bus.trust.exported import Exported, write
    from bus.trust.sources import schema_of

    skipped = 0
    async with LogReader(settings.kafka) as reader, SchemaClient.of(settings) as schemas:
        async for record in records(reader, topic, span):
            schema = None
            try:
                schema = await schema_of(schemas, record)
            except (NotFound, UndecodableEvent) as error:
                place = f"{record.topic}-{record.partition} at {record.offset}"
                say(f"! {place} has no schema that is known: {error.what}")
                skipped += 1
            emit(write(Exported(record, schema)))
    return SKIPPED if skipped else 0
