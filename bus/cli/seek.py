"""`stadtbus group seek`: have a group read from elsewhere."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Kafka, Output, client_settings
from bus.cli.output import show
from bus.cli.when import instant
from bus.errors import InvalidSettings

if TYPE_CHECKING:
    from bus.watch.seeking import Move, Target


def seek(
    group: Annotated[str, typer.Argument(help="the group, without members while it is moved")],
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            help="on this topic alone; may be given again [default: all it has read]",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="to the first event since: 2026-11-21T08:00:00Z, or 1h"),
    ] = None,
    offset: Annotated[
        int | None, typer.Option(min=0, help="to this offset, or the nearest that there is")
    ] = None,
    start: Annotated[
        bool, typer.Option("--start", help="to the first event that there is")
    ] = False,
    end: Annotated[bool, typer.Option("--end", help="behind the last event: skip all")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be done")] = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Have a group read from elsewhere: the way out of a position that has expired.

    Shows for each partition how many events are read again or skipped, and asks. The group must
    have no members meanwhile. A subscriber with an inbox keeps its position in its own database,
    which this does not move.
    """
    from bus.watch.seeking import carry_out, plan

    target = _target(time, offset, start=start, end=end)
    settings = client_settings(kafka, None)
    moves = asyncio.run(plan(settings.kafka, group, target, topic or ()))
    if output is Format.table:
        _preview(moves)
    if not dry_run and (yes or _confirmed(group)):
        asyncio.run(carry_out(settings.kafka, group, moves))
        say(f"✔ {group} goes on from there")
        done = True
    else:
        say("Nothing was changed.")
        done = False
    if output is Format.json:
        emit({"v": 1, "group": group, "done": done, "moves": [_row(one) for one in moves]})
    if not done and not dry_run:
        raise typer.Exit(3)


def _target(time: str | None, offset: int | None, *, start: bool, end: bool) -> "Target":
    from bus.watch.seeking import Target

    if sum([time is not None, offset is not None, start, end]) != 1:
        raise InvalidSettings(
            "where to is not said, or more than once",
            where="group seek",
            remedy="give one of --time, --offset, --start and --end",
        )
    moment = None if time is None else instant(time, now=datetime.now(UTC), where="--time")
    return Target(time=moment, offset=offset, start=start, end=end)


def _preview(moves: "Sequence[Move]") -> None:
    columns = ("topic", "partition", "from", "to", "again", "skipped")
    show("moves", [_row(one) for one in moves], columns, Format.table)
    again, skipped = sum(one.again for one in moves), sum(one.skipped for one in moves)
    say(f"{again} events are read again, {skipped} are skipped")


def _row(move: "Move") -> dict[str, Any]:
    fields = asdict(move)
    del fields["metadata"]
    return {"from": fields.pop("before"), "to": fields.pop("after"), **fields}


def _confirmed(group: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidSettings(
            "nobody is there to ask", where="group seek", remedy="give --yes, or --dry-run to look"
        )
    return typer.confirm(f"Move the positions of {group}?", err=True)
