"""`stadtbus group`: who subscribes, how far behind, and from where to read again."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, client_settings, say_what_may_be_hidden
from bus.cli.output import show
from bus.cli.seek import seek
from bus.cli.when import duration

if TYPE_CHECKING:
    from bus.admin import Admin
    from bus.errors import BusError
    from bus.settings import Settings
    from bus.watch.survey import Survey

app = typer.Typer(
    help="Who subscribes, how far behind, and from where to read again.", no_args_is_help=True
)
app.command("seek")(seek)

All = Annotated[
    bool, typer.Option("--all", help="the bus's own groups too, whose names start with _")
]


@app.command("ls")
def ls(everything: All = False, kafka: Kafka = None, output: Output = Format.table) -> None:
    """List consumer groups with their state and members."""
    rows = asyncio.run(_list(client_settings(kafka, None), everything=everything))
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
    everything: All = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show how far groups are behind, in events and in seconds.

    Seconds are the age of the first event that the group has not committed: 0 when there is none,
    and "never committed" for a group that has no position yet. Promised is how far behind the group
    says that it is at the most; lost are events that were deleted before it had read them.
    """
    settings = client_settings(kafka, None)
    limit = duration(fail_over, where="--fail-over").total_seconds() if fail_over else None
    survey = asyncio.run(_survey(settings, group))
    rows = _lag(survey, everything=everything or group is not None)
    shown: list[dict[str, Any]] = rows
    if output is Format.table:
        shown = [{**row, "seconds": _seconds(row)} for row in rows]
    show("lag", shown, ("group", "topic", "events", "seconds", "promised", "lost"), output)
    late = [row for row in rows if limit is not None and _is_late(row, limit)]
    for row in late:
        say(f"! {row['group']} is behind on {row['topic']}: more than {fail_over}")
    if late:
        raise typer.Exit(3)


def _seconds(row: dict[str, Any]) -> float | str:
    if row["never_committed"]:
        return "never committed"
    return "unknown" if row["seconds"] is None else row["seconds"]


def _is_late(row: dict[str, Any], limit: float) -> bool:
    """A group of which no time is known is late as soon as there is something to read."""
    seconds, events = row["seconds"], row["events"]
    return bool(events > 0 if seconds is None else seconds > limit)


async def _list(settings: "Settings", *, everything: bool) -> list[dict[str, Any]]:
    from bus.watch.names import is_internal

    survey = await _survey(settings, None)
    return [
        {
            "group": state.group,
            "state": state.state,
            "members": state.members,
            "topics": sorted(state.subscriptions),
        }
        for state in survey.groups.values()
        if everything or not is_internal(state.group)
    ]


def _lag(survey: "Survey", *, everything: bool) -> list[dict[str, Any]]:
    from bus.watch.names import is_internal

    return [
        {
            "group": one.group,
            "topic": one.topic,
            "events": one.records,
            "seconds": one.seconds,
            "never_committed": one.never_committed,
            "promised": one.promise,
            "lost": one.lost,
        }
        for one in survey.subscriptions()
        if everything or not is_internal(one.group)
    ]


async def _survey(settings: "Settings", group: str | None) -> "Survey":
    """Return how groups are: one of them, or all.

    Raises:
        NotFound, NotAuthorised: there is no such group, or it may not be seen.
    """
    from bus.admin import Admin
    from bus.watch.surveyor import Surveyor

    async with Surveyor(settings.kafka) as surveyor:
        survey = await surveyor.survey(None if group is None else [group])
    if group is None and not survey.groups:
        say_what_may_be_hidden(settings, "group")
    if group is not None and group not in survey.groups:
        async with Admin(settings.kafka) as admin:
            raise await _no_such_group(admin, settings, group, await admin.groups())
    return survey


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
