"""`stadtbus disclosure`: who was told what of whom, and whether both sides have the same of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, Registry, client_settings
from bus.cli.output import show
from bus.errors import InvalidInput, InvalidSettings, NotVerified, UndecodableEvent

if TYPE_CHECKING:
    from bus.disclosures.digest import Entry
    from bus.settings import Settings

app = typer.Typer(
    help="Who was told what of whom, and whether owner and recipient have the same of it.",
    no_args_is_help=True,
)

SLACK = timedelta(hours=1)
"""How far the clocks of router and engine may be apart: so much more of a feed is read."""

SKIPPED = 7

Portal = Annotated[
    str | None,
    typer.Option(
        "--portal",
        metavar="URL",
        help="the page's address [default: portal.url, or where portal.listen says]",
        show_default=False,
    ),
]
User = Annotated[
    str | None,
    typer.Option("--user", help="a user of the page, such as a data protection officer"),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="a file whose first line is the password"),
]
Day = Annotated[str, typer.Option(metavar="DAY", help="such as 2026-07-01 (UTC)")]


@app.command("ls")
def ls(
    owner: Annotated[str | None, typer.Option(metavar="MEMBER", help="of whose data")] = None,
    recipient: Annotated[str | None, typer.Option(metavar="MEMBER", help="who got it")] = None,
    topic: Annotated[str | None, typer.Option(help="of this contract")] = None,
    purpose: Annotated[str | None, typer.Option(help="for what, a word of the vocabulary")] = None,
    subject: Annotated[
        str | None, typer.Option(help="of whom, as the owner's source names them")
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="ID", help="the event's id (ce_id) on the feed")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="on this day (UTC) or later")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="on this day (UTC) or earlier")
    ] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="no more than these")] = 100,
    reason: Annotated[
        str | None,
        typer.Option(help="why an administrator sees them without masks; it is noted"),
    ] = None,
    portal: Portal = None,
    user: User = None,
    password_file: PasswordFile = None,
    output: Output = Format.table,
) -> None:
    """List disclosures, the newest first.

    A data protection officer sees what was disclosed of its member's data and to it; who operates
    the bus sees all, with subjects and events masked. Each look is noted.
    """
    asked = {
        "owner": owner,
        "recipient": recipient,
        "topic": topic,
        "purpose": purpose,
        "subject": subject,
        "event": event,
        "since": since,
        "until": until,
        "reason": reason,
    }
    query = {name: value for name, value in asked.items() if value}
    rows: list[Any] = []
    masked = False
    while len(rows) < limit:
        answer = _ask("disclosures", query, portal, user, password_file)
        rows += answer["disclosures"]
        masked = answer["masked"]
        if answer["following"] is None:
            break
        query["before"] = answer["following"]
    if masked and (subject or event):
        say("! what is masked cannot be asked for: --subject and --event were left out of account")
    columns = ("at", "owner", "recipient", "topic", "purposes", "fields", "subject", "event")
    show("disclosures", rows[:limit], columns, output)


@app.command("digest")
def digest(
    day: Day,
    feed: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC",
            help="the recipient's feed, read with this user's login, instead of asking the page",
        ),
    ] = None,
    portal: Portal = None,
    user: User = None,
    password_file: PasswordFile = None,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Count a day's disclosures by recipient, contract and grants, and digest them.

    The recipient computes them from its own feed (--feed), the owner has them from the page. What
    both have is the same, or somebody was told something else than was disclosed.
    """
    wanted = _day(day)
    if feed is None:
        rows = _ask("digests", {"day": wanted.isoformat()}, portal, user, password_file)["digests"]
        skipped = 0
    else:
        rows, skipped = asyncio.run(_of_feed(client_settings(kafka, registry), feed, wanted))
    columns = ("day", "recipient", "topic", "grants", "deliveries", "digest")
    show("digests", rows, columns, output)
    if skipped:
        raise typer.Exit(SKIPPED)


def _ask(
    what: str,
    query: dict[str, str],
    portal: str | None,
    user: str | None,
    password_file: Path | None,
) -> Any:
    from bus.cli.portal_client import address, ask
    from bus.settings import secret

    if (user is None) != (password_file is None):
        raise InvalidSettings(
            "a user without a password, or a password without a user",
            where="--user, --password-file",
            remedy="give both, or neither",
        )
    settings = client_settings(None, None)
    login = None
    if user is not None and password_file is not None:
        login = user, secret(password_file, "--password-file", "password")
    ca = settings.registry.ca_file or settings.kafka.ca_file
    return ask(portal or address(settings), f"/data/{what}", query, login, ca)


async def _of_feed(settings: "Settings", feed: str, day: date) -> tuple[list[dict[str, Any]], int]:
    from bus.disclosures.digest import totals

    entries, skipped = [], 0
    async for entry in _entries(settings, feed, day):
        if entry is None:
            skipped += 1
        elif entry.day == day:
            entries.append(entry)
    return [
        {
            "day": line.day.isoformat(),
            "recipient": line.recipient,
            "topic": line.topic,
            "grants": [grant.hex() for grant in line.grants],
            "deliveries": deliveries,
            "digest": found.hex(),
        }
        for line, deliveries, found in totals(entries)
    ], skipped


async def _entries(settings: "Settings", feed: str, day: date) -> "AsyncIterator[Entry | None]":
    """Yield what a feed says of about a day; None for a record that is none of the router's."""
    from bus.cli.span import Span
    from bus.cli.tail import records
    from bus.disclosures.digest import entry_on
    from bus.event import member_of, unframe
    from bus.kafka import LogReader
    from bus.schemas import SchemaClient
    from bus.trust.attestation import is_mark

    recipient = member_of(feed.removeprefix("feed.")) if feed.startswith("feed.") else None
    if recipient is None:
        raise InvalidInput(
            "this is no recipient's feed",
            where=feed,
            remedy="name it like feed.de.agency.finanzamt.resident.address-changed.v1",
        )
    begin = datetime.combine(day, time(), UTC)
    span = Span(since=begin - SLACK, until=begin + timedelta(days=1) + SLACK, to_end=True)
    names: dict[int, tuple[str, ...]] = {}
    async with LogReader(settings.kafka) as reader, SchemaClient.of(settings) as schemas:
        contract = await schemas.contract(feed.removeprefix(f"feed.{recipient}."))
        async for record in records(reader, feed, span):
            if is_mark(record.headers):
                continue
            try:
                given: tuple[str, ...] = ()
                if record.value is not None:
                    schema_id, _ = unframe(record.value)
                    if schema_id not in names:
                        schema = await schemas.schema(schema_id)
                        names[schema_id] = tuple(field["name"] for field in schema["fields"])
                    given = names[schema_id]
                yield entry_on(record, recipient, given, contract.subject or "")
            except (NotVerified, UndecodableEvent) as error:
                say(f"! {feed}-{record.partition} at {record.offset} is not counted: {error.what}")
                yield None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidSettings(
            f'"{text}" is no day', where="--day", remedy="write it like 2026-07-01"
        ) from None
