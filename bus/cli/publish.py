"""`stadtbus publish`: events from lines of JSON."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.edge import emit, explain, say
from bus.cli.options import Format, Kafka, Output, Registry, client_settings
from bus.errors import EventTooLarge, InvalidEvent, InvalidInput

if TYPE_CHECKING:
    from bus.cli.lines import Line, Reading
    from bus.event import Draft
    from bus.settings import Settings

SKIPPED = 7


def publish(
    topic: Annotated[str, typer.Argument(help="the contract's topic")],
    file: Annotated[
        Path, typer.Argument(help="lines of JSON, one event's data each; - for standard input")
    ] = Path("-"),
    system: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="the system that publishes, such as de.mun.055150000000.zaehlstellen",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check every line against the contract, send nothing")
    ] = False,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Publish one event for each line of JSON.

    A line that does not keep to the contract is told on standard error, with its number and what
    the contract wants; the other lines are published, and the exit code is 7 then.
    """
    if system is None and not dry_run:
        raise typer.BadParameter("say which system publishes", param_hint="--system")
    settings = client_settings(kafka, registry)
    sent, wrong = asyncio.run(_publish(settings, topic, file, None if dry_run else system, output))
    if dry_run and output is Format.json:
        emit({"v": 1, "would_publish": sent, "refused": wrong})
    say(f"{sent} {'would be published' if dry_run else 'published'}, {wrong} refused")
    if wrong:
        raise typer.Exit(SKIPPED)


async def _publish(
    settings: "Settings", topic: str, file: Path, system: str | None, output: Format
) -> tuple[int, int]:
    """Return how many events were published, or would be, and how many lines were refused."""
    from bus.cli.lines import Reading, batches, opened
    from bus.publisher import Publisher
    from bus.schemas import SchemaClient

    async with SchemaClient.of(settings) as schemas:
        reading = Reading(await schemas.contract(topic), system)
    sent = wrong = 0
    async with AsyncExitStack() as running:
        stream = running.enter_context(opened(file))
        publisher = None
        if system is not None:
            publisher = await running.enter_async_context(Publisher(system, settings))
        async for lines in batches(stream):
            drafts = _drafts(reading, lines)
            sent += len(drafts)
            wrong += len(lines) - len(drafts)
            if publisher is None or not drafts:
                continue
            for receipt in await publisher.publish_many(topic, drafts):
                if output is Format.json:
                    emit(
                        {
                            "v": 1,
                            "id": receipt.id,
                            "topic": topic,
                            "partition": receipt.partition,
                            "offset": receipt.offset,
                        }
                    )
    return sent, wrong


def _drafts(reading: "Reading", lines: "list[Line]") -> "list[Draft]":
    found = []
    for number, line in lines:
        try:
            found.append(reading.draft(line))
        except (EventTooLarge, InvalidEvent, InvalidInput) as error:
            say(f"line {number}: {explain(error)}")
    return found
