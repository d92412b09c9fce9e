"""`stadtbus group`: who subscribes, and how far behind."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, client_settings, say_what_may_be_hidden
from bus.cli.output import show
from bus.cli.when import duration

if TYPE_CHECKING:
    from bus.admin import Admin
    from bus.errors import BusError
    from bus.settings import Settings

app = typer.Typer(help="Who subscribes, and how far behind.", no_args_is_help=True)


@app.command("ls")
def ls(kafka: Kafka = None, output: Output = Format.table) -> None:
    """List consumer groups with their state and members."""
    rows = asyncio.run(_list(client_settings(kafka, None)))
    show("groups", rows, ("group", "state", "members", "topics"), output)


@app.command("lag")
def lag(
    group: Annotated[str | None, typer.Argument(help="one group [default: all]")] = None,
    fail_over: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="exit with 3 if a group is further behind: 30s, 5m, 1h"
        ),
    ] = None,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show how far groups are behind, in events and in seconds.

    Seconds are the age of the first event that the group has not committed: 0 when there is none,
    and "never committed" for a group that has no position yet.
    """
    settings = client_settings(kafka, None)
    limit = duration(fail_over, where="--fail-over").total_seconds() if fail_over else None
    rows = asyncio.run(_lag(settings, group))
    shown: list[dict[str, Any]] = rows
    if output is Format.table:
        shown = [
            {**row, "seconds": "never committed" if row["seconds"] is None else row["seconds"]}
            for row in rows
        ]
    show("lag", shown, ("group", "topic", "events", "seconds"), output)
    late = [row for row in rows if limit is not None and _is_late(row, limit)]
    for row in late:
        say(f"! {row['group']} is behind on {row['topic']}: more than {fail_over}")
    if late:
        raise typer.Exit(3)


def _is_late(row: dict[str, Any], limit: float) -> bool:
    """A group that never committed is late as soon as there is something to read."""
    seconds, events = row["seconds"], row["events"]
    return bool(events > 0 if seconds is None else seconds > limit)


async def _list(settings: "Settings") -> list[dict[str, Any]]:
    from bus.admin import Admin

    async with Admin(settings.kafka) as admin:
        groups = await admin.groups()
        if not groups:
            say_what_may_be_hidden(settings, "group")
        states = [await admin.describe_group(group) for group in groups]
    return [
        {
            "group": state.group,
            "state": state.state,
            "members": len(state.members),
            "topics": sorted({topic for m in state.members for topic, _ in m.partitions}),
        }
        for state in states
    ]


async def _no_such_group(
    admin: "Admin", settings: "Settings", group: str, groups: Sequence[str]
) -> "BusError":
    """Return the error for a group that is not among those that there are, or are to be seen.

    Raises:
        NotAuthorised: the user may not see the group, whether it exists or not.
    """
    from bus.errors import NotFound, nearest

    with suppress(NotFound):
        await admin.describe_group(group)
    return NotFound(
        f'there is no group "{group}"',
        where=settings.kafka.bootstrap,
        remedy=nearest(group, groups) if groups else "no group has subscribed yet",
    )


async def _lag(settings: "Settings", group: str | None) -> list[dict[str, Any]]:
    from bus.admin import Admin
    from bus.kafka import LogReader
    from bus.subscriber.lag import lags

    async with Admin(settings.kafka) as admin, LogReader(settings.kafka) as reader:
        groups = await admin.groups()
        if group is None and not groups:
            say_what_may_be_hidden(settings, "group")
        if group is not None and group not in groups:
            raise await _no_such_group(admin, settings, group, groups)
        found = await lags(admin, reader, None if group is None else [group])
    return [
        {"group": lag.group, "topic": lag.topic, "events": lag.records, "seconds": lag.seconds}
        for lag in found
    ]
