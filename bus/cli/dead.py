"""`stadtbus dead`: events that were set aside, why, and what becomes of them."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Kafka, Output, client_settings, say_what_may_be_hidden
from bus.cli.output import printable, show
from bus.cli.when import instant, iso_ms
from bus.errors import InvalidSettings, NotRedrivable

if TYPE_CHECKING:
    from bus.letters import Action, Decision, Filter, Letter, Outcome
    from bus.settings import KafkaSettings, Settings

app = typer.Typer(
    help="Events that were set aside: why, and what becomes of them.", no_args_is_help=True
)

SKIPPED = 7
PREVIEW = 20
"""Letters that a preview shows; the others are counted."""

COLUMNS = ("letter", "time", "state", "reason", "origin", "group", "key", "detail")

Topic = Annotated[
    str, typer.Argument(help="a dead letter topic, such as dead.de.agency.statistik.…")
]
Spots = Annotated[
    list[str] | None,
    typer.Option(
        "--offset",
        metavar="PARTITION:OFFSET",
        help="this letter; may be given again",
        show_default=False,
    ),
]
Group = Annotated[str | None, typer.Option("--group", help="those that this group refused")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="from then on: 1h, or ISO 8601")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="before then")]
All = Annotated[bool, typer.Option("--all", help="all that wait")]
Limit = Annotated[
    int | None, typer.Option("-n", "--limit", min=1, help="no more than the first N of them")
]
Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="show what would be done")]


@app.command("ls")
def ls(kafka: Kafka = None, output: Output = Format.table) -> None:
    """List the dead letter topics: letters that wait, were re-driven, were discarded."""
    rows = asyncio.run(_list(client_settings(kafka, None)))
    show("dead_letters", rows, ("topic", "waiting", "redriven", "discarded"), output)


@app.command("show")
def show_letters(
    topic: Topic,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="the newest N")] = 20,
    waits: Annotated[bool, typer.Option("--waiting", help="only those that wait")] = False,
    reason: Annotated[str | None, typer.Option(help="set aside for this reason word")] = None,
    group: Group = None,
    since: Since = None,
    until: Until = None,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show the newest events that were set aside: why, where each came from, what became of it."""
    wanted = _filter(None, reason, group, since, until)
    settings = client_settings(kafka, None)
    rows = asyncio.run(_show(settings.kafka, topic, wanted, limit, waits=waits))
    show("dead_letters", rows, COLUMNS, output)


@app.command("log")
def show_log(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="the newest N")] = 50,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Show what was decided about letters: by whom, when, why."""
    rows = asyncio.run(_log(client_settings(kafka, None).kafka, limit))
    show("decisions", rows, ("when", "who", "action", "letter", "group", "reason"), output)


@app.command("redrive")
def redrive(
    topic: Topic,
    offset: Spots = None,
    reason: Annotated[
        str | None, typer.Option(help="those that were set aside for this reason word")
    ] = None,
    group: Group = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    limit: Limit = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="why it will go well now; is logged")
    ] = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Send events once more to the group that refused them.

    Shows which ones, and asks. Letters that somebody has decided about are left alone. Those that
    cannot be re-driven are told and stay; the exit code is 7 then.
    """
    from bus.letters import Action

    chosen = _chosen(offset, reason, group, since, until, everything=everything)
    settings = client_settings(kafka, None)
    letters = _found(settings.kafka, topic, chosen, limit)
    stuck = [one for one in letters if one.hindrance is not None]
    if stuck and offset:
        raise NotRedrivable(stuck[0].hindrance or "", where=stuck[0].place)
    for one in stuck:
        say(printable(f"! {one.place} cannot be re-driven: {one.hindrance}"))
    able = [one for one in letters if one.hindrance is None]
    done = _carried_out(
        settings, topic, able, Action.redriven, note, yes=yes, dry_run=dry_run, output=output
    )
    if not done and not dry_run:
        raise typer.Exit(3)
    if stuck:
        raise typer.Exit(SKIPPED)


@app.command("discard")
def discard(
    topic: Topic,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why; is logged")],
    offset: Spots = None,
    word: Annotated[
        str | None, typer.Option("--set-aside-for", metavar="WORD", help="for this reason word")
    ] = None,
    group: Group = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    limit: Limit = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Decide that nothing more will be done about letters. They stay where they are.

    Shows which ones, and asks.
    """
    from bus.letters import Action

    chosen = _chosen(offset, word, group, since, until, everything=everything)
    settings = client_settings(kafka, None)
    letters = _found(settings.kafka, topic, chosen, limit)
    done = _carried_out(
        settings, topic, letters, Action.discarded, reason, yes=yes, dry_run=dry_run, output=output
    )
    if not done and not dry_run:
        raise typer.Exit(3)


def _carried_out(
    settings: "Settings",
    topic: str,
    letters: "Sequence[Letter]",
    action: "Action",
    reason: str,
    *,
    yes: bool,
    dry_run: bool,
    output: Format,
) -> bool:
    """Preview, ask, do and tell; return whether it was done."""
    from bus.letters import Outcome

    if output is Format.table:
        _preview(letters)
    outcome = Outcome(done=(), already=())
    done = not dry_run and (not letters or yes or _confirmed(topic, len(letters), action))
    if done and letters:
        outcome = asyncio.run(_decide(settings.kafka, letters, action, reason))
        for one in outcome.already:
            who = printable(one.who)
            say(f"! {_place(one)} was {one.action} by {who} meanwhile, and is left alone")
        say(f"✔ {len(outcome.done)} {action}")
    else:
        say("Nothing was changed.")
    if output is Format.json:
        emit(
            {
                "v": 1,
                "topic": topic,
                "done": done,
                "letters": [_row(one) for one in letters],
                "decisions": [asdict(one) for one in outcome.done],
                "already": [asdict(one) for one in outcome.already],
            }
        )
    return done


async def _decide(
    kafka: "KafkaSettings", letters: "Sequence[Letter]", action: "Action", reason: str
) -> "Outcome":
    from bus.letters import Action, Decider

    decider = Decider(kafka, _who(kafka))
    if action is Action.redriven:
        return await decider.redrive(letters, reason)
    return await decider.discard(letters, reason)


def _who(kafka: "KafkaSettings") -> str:
    """Return in whose name is decided: the engine's user, or the machine's."""
    from getpass import getuser

    return kafka.username or getuser()


def _filter(
    spots: Sequence[str] | None,
    reason: str | None,
    group: str | None,
    since: str | None,
    until: str | None,
) -> "Filter":
    from bus.letters import Filter

    now = datetime.now(UTC)
    return Filter(
        spots=frozenset(map(_spot, spots)) if spots else None,
        reason=reason,
        group=group,
        since=None if since is None else instant(since, now=now, where="--since"),
        until=None if until is None else instant(until, now=now, where="--until"),
    )


def _chosen(
    spots: Sequence[str] | None,
    reason: str | None,
    group: str | None,
    since: str | None,
    until: str | None,
    *,
    everything: bool,
) -> "Filter":
    """Return which letters are meant; `all` has to be said, and said alone."""
    given = any(one is not None and one != [] for one in (spots, reason, group, since, until))
    if given == everything:
        raise InvalidSettings(
            "which letters is not said, or said twice",
            where="dead letters",
            remedy="give --offset, a reason, --group, --since or --until, or --all alone",
        )
    return _filter(spots, reason, group, since, until)


def _spot(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise InvalidSettings(
            f'"{text}" names no letter', where="--offset", remedy="write 2:17, as dead show does"
        )
    return int(partition), int(offset)


def _found(
    kafka: "KafkaSettings", topic: str, chosen: "Filter", limit: int | None
) -> "list[Letter]":
    from bus.letters import Shelf, waiting

    async def find() -> "list[Letter]":
        async with Shelf(kafka) as shelf:
            return await waiting(shelf, topic, chosen, most=limit)

    return asyncio.run(find())


def _preview(letters: "Sequence[Letter]") -> None:
    shown = [_row(one) for one in letters[:PREVIEW]]
    show("letters", shown, [one for one in COLUMNS if one != "state"], Format.table)
    more = f", {len(letters) - len(shown)} of them not shown" if len(letters) > PREVIEW else ""
    say(f"{len(letters)} letters that wait{more}")


def _confirmed(topic: str, count: int, action: "Action") -> bool:
    if not sys.stdin.isatty():
        raise InvalidSettings(
            "nobody is there to ask",
            where="dead letters",
            remedy="give --yes, or --dry-run to look",
        )
    verb = {"redriven": "Re-drive", "discarded": "Discard"}[action]
    return typer.confirm(f"{verb} {count} letters of {topic}?", err=True)


def _row(letter: "Letter", decided: "Decision | None" = None) -> dict[str, Any]:
    from bus.cli.decoding import base64_of, text

    return {
        "letter": f"{letter.partition}:{letter.offset}",
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": iso_ms(letter.at_ms),
        "time": letter.time,
        "state": decided.action if decided else "waiting",
        "reason": letter.reason,
        "detail": letter.detail,
        "origin": letter.origin,
        "group": letter.group,
        "key": text(letter.key),
        "key_base64": base64_of(letter.key),
        "value_base64": base64_of(letter.value),
        "headers": {name: text(value) for name, value in letter.headers},
        "earlier": letter.earlier,
        "without": letter.without,
        "redrivable": letter.hindrance is None,
    }


def _place(one: "Decision") -> str:
    return f"{one.topic}/{one.partition}/{one.offset}"


async def _list(settings: "Settings") -> list[dict[str, Any]]:
    from bus.letters import Shelf

    async with Shelf(settings.kafka) as shelf:
        found = await shelf.counts()
    if not found:
        say_what_may_be_hidden(settings, "topic")
    return [{"topic": topic, **asdict(count)} for topic, count in found.items()]


async def _show(
    kafka: "KafkaSettings", topic: str, wanted: "Filter", limit: int, *, waits: bool
) -> list[dict[str, Any]]:
    from bus.letters import Shelf, newest

    async with Shelf(kafka) as shelf:
        found = await newest(shelf, topic, wanted, limit, waits=waits)
        return [_row(one, shelf.decisions.of(one)) for one in found]


async def _log(kafka: "KafkaSettings", limit: int) -> list[dict[str, Any]]:
    from bus.letters import Shelf

    async with Shelf(kafka) as shelf:
        found = (await shelf.refresh())[-limit:]
    return [{**asdict(one), "letter": _place(one)} for one in found]
