"""`stadtbus topic`: what topics there are, and what one holds."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.export import export
from bus.cli.options import Format, Kafka, Output, client_settings, say_what_may_be_hidden
from bus.cli.output import show, show_one

if TYPE_CHECKING:
    from bus.settings import Settings

app = typer.Typer(help="What topics there are, and what one holds.", no_args_is_help=True)
app.command("export")(export)

OWN = "_"
"""Topics whose names start with it are the bus's own."""


@app.command("ls")
def ls(
    everything: Annotated[
        bool, typer.Option("--all", help="the bus's own topics too, whose names start with _")
    ] = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """List topics with their partitions and how many events each holds."""
    settings = client_settings(kafka, None)
    rows = asyncio.run(_list(settings, everything=everything))
    show("topics", rows, ("topic", "partitions", "events"), output)


@app.command("show")
def show_topic(
    topic: Annotated[str, typer.Argument(help="the topic's name")],
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show one topic: its partitions' offsets and its configuration."""
    found = asyncio.run(_show(client_settings(kafka, None), topic))
    if output is Format.table:
        found["partitions"] = {
            str(p["partition"]): f"{p['first']} to {p['end']}" for p in found["partitions"]
        }
    show_one(found, output)


async def _list(settings: "Settings", *, everything: bool) -> list[dict[str, Any]]:
    from bus.admin import Admin
    from bus.kafka import LogReader

    async with Admin(settings.kafka) as admin, LogReader(settings.kafka) as reader:
        found = await admin.topics()
        if not found:
            say_what_may_be_hidden(settings, "topic")
        return [
            {"topic": topic, "partitions": count, "events": await _events(reader, topic)}
            for topic, count in sorted(found.items())
            if everything or not topic.startswith(OWN)
        ]


async def _events(reader: Any, topic: str) -> int:
    return sum(end - first for first, end in (await reader.bounds(topic)).values())


async def _show(settings: "Settings", topic: str) -> dict[str, Any]:
    from bus.admin import Admin
    from bus.kafka import LogReader

    async with Admin(settings.kafka) as admin, LogReader(settings.kafka) as reader:
        bounds = await reader.bounds(topic)
        configs = await admin.configs(topic)
    return {
        "topic": topic,
        "events": sum(end - first for first, end in bounds.values()),
        "partitions": [
            {"partition": partition, "first": first, "end": end}
            for partition, (first, end) in sorted(bounds.items())
        ],
        "configs": dict(sorted(configs.items())),
    }
