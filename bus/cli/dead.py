"""`stadtbus dead`: events that were set aside, and why."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.options import Format, Kafka, Output, client_settings, say_what_may_be_hidden
from bus.cli.output import show

if TYPE_CHECKING:
    from bus.settings import Settings

app = typer.Typer(help="Events that were set aside, and why.", no_args_is_help=True)


@app.command("ls")
def ls(kafka: Kafka = None, output: Output = Format.table) -> None:
    """List the dead letter topics with how many events each holds."""
    rows = asyncio.run(_list(client_settings(kafka, None)))
    show("dead_letters", rows, ("topic", "events"), output)


@app.command("show")
def show_letters(
    topic: Annotated[
        str, typer.Argument(help="a dead letter topic, such as dead.de.agency.statistik.…")
    ],
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="the newest N")] = 20,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show the newest events that were set aside: the reason, where each came from, when."""
    rows = asyncio.run(_show(client_settings(kafka, None), topic, limit))
    show("dead_letters", rows, ("offset", "time", "reason", "origin", "key", "detail"), output)


async def _list(settings: "Settings") -> list[dict[str, Any]]:
    from bus.admin import Admin
    from bus.kafka import LogReader
    from bus.subscriber.waiting import dead_letters

    async with Admin(settings.kafka) as admin, LogReader(settings.kafka) as reader:
        found = await dead_letters(admin, reader)
    if not found:
        say_what_may_be_hidden(settings, "topic")
    return [{"topic": topic, "events": count} for topic, count in sorted(found.items())]


async def _show(settings: "Settings", topic: str, limit: int) -> list[dict[str, Any]]:
    from bus.cli.decoding import raw, text
    from bus.cli.span import Span
    from bus.cli.tail import records
    from bus.kafka import LogReader

    rows = []
    async with LogReader(settings.kafka) as reader:
        span = Span(last=limit, to_end=True)
        async for record in records(reader, topic, span):
            headers = {name: text(value) for name, value in record.headers}
            rows.append(
                {
                    **raw(record),
                    "time": headers.get("stadtbus-dead-time"),
                    "reason": headers.get("stadtbus-dead-reason"),
                    "detail": headers.get("stadtbus-dead-detail"),
                    "origin": headers.get("stadtbus-dead-origin"),
                    "group": headers.get("stadtbus-dead-group"),
                    "key": text(record.key),
                }
            )
    return rows
