"""`stadtbus check`: a look at one thing, for Nagios, Icinga and Checkmk."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from uuid import uuid4

import typer
from typer.core import TyperGroup

from bus.cli.edge import emit
from bus.cli.options import Data, Kafka, Registry, client_settings
from bus.cli.when import duration
from bus.errors import BusError, BusUnavailable, InvalidSettings, NotFound
from bus.principals import OWN_CLIENTS

if TYPE_CHECKING:
    from bus.settings import KafkaSettings, Settings
    from bus.watch.limits import Limits
    from bus.watch.verdicts import Verdict

WAITED = 10.0
"""Seconds that the canary is waited for."""


CLIENT_ID = f"{OWN_CLIENTS}check"

USAGE = 2
"""The exit code of a wrong option, which Nagios would take for critical."""


class Output(StrEnum):
    """How a verdict is written."""

    nagios = "nagios"
    json = "json"


class _Plugin(TyperGroup):
    """Commands whose usage errors are told as unknown."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments; it is a usage error, too, if there are none."""
        with _unknown():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _unknown():
            return super().invoke(ctx)


@contextmanager
def _unknown() -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        if getattr(error, "exit_code", 0) == USAGE:
            error.exit_code = 3  # type: ignore[attr-defined]  # it has one
        raise


app = typer.Typer(
    cls=_Plugin,
    help="Look at one thing, for Nagios, Icinga and Checkmk. Exit codes are theirs: 0 is fine, 1 a "
    "warning, 2 critical, 3 unknown.",
    no_args_is_help=True,
)

Written = Annotated[Output, typer.Option("-f", "--format", help="nagios or json")]
Warn = Annotated[
    str | None, typer.Option("-w", "--warn", metavar="DURATION", help="a warning above this")
]
Critical = Annotated[
    str | None, typer.Option("-c", "--critical", metavar="DURATION", help="critical above this")
]


@app.command("broker")
def broker(kafka: Kafka = None, form: Written = Output.nagios) -> None:
    """Whether the engine answers and every partition is led and copied."""

    def judge() -> "Verdict":
        return asyncio.run(_broker(client_settings(kafka, None).kafka))

    _leave("broker", judge, form, unreachable_is_critical=True)


@app.command("lag")
def lag(
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="this group alone; may be given again", show_default=False),
    ] = None,
    warn: Warn = None,
    critical: Critical = None,
    kafka: Kafka = None,
    form: Written = Output.nagios,
) -> None:
    """Whether subscribers keep what they promised, and nobody loses events.

    Without limits, each subscriber is held to its promise. Events that were deleted unread are
    critical, as are those of which more than 80 % of the retention is over (50 %: a warning).
    """

    def judge() -> "Verdict":
        from bus.watch import verdicts

        limits = _limits(warn, critical)
        settings = client_settings(kafka, None).kafka
        survey = asyncio.run(_survey(settings, group))
        return verdicts.lag(survey, limits, user=settings.username)

    _leave("lag", judge, form)


@app.command("rights")
def rights(kafka: Kafka = None, registry: Registry = None, form: Written = Output.nagios) -> None:
    """Whether the engine's rules are what the journal says, for all systems; changes nothing.

    A registry repairs what is different within a minute. Systems that have no password are named:
    they log in with a certificate, or nobody has made them a user.
    """

    def judge() -> "Verdict":
        return asyncio.run(_rights(client_settings(kafka, registry)))

    _leave("rights", judge, form)


@app.command("disk")
def disk(
    warn: Annotated[float, typer.Option("-w", "--warn", help="percent free, a warning below")] = 15,
    critical: Annotated[float, typer.Option("-c", "--critical", help="critical below")] = 5,
    data: Data = None,
    form: Written = Output.nagios,
) -> None:
    """Whether there is room on the disk that holds the node's data; runs on its machine."""

    def judge() -> "Verdict":
        from bus.settings import load
        from bus.watch import verdicts
        from bus.watch.limits import Limits

        limits = Limits.at_least(warn, critical, most=100)
        folder = load({"data": data}).data
        try:
            found = shutil.disk_usage(folder)
        except OSError as error:
            raise InvalidSettings(
                f"cannot be looked at: {error.strerror}", where=str(folder), remedy="set --data"
            ) from error
        return verdicts.disk(str(folder), found.free, found.total, limits)

    _leave("disk", judge, form)


@app.command("canary")
def canary(
    warn: Warn = "1s", critical: Critical = "5s", kafka: Kafka = None, form: Written = Output.nagios
) -> None:
    """Send an event of the bus's own and wait for it: whether it comes back, and how soon."""

    def judge() -> "Verdict":
        from bus.watch import verdicts

        limits = _limits(warn, critical)
        settings = client_settings(kafka, None)
        return verdicts.canary(asyncio.run(_roundtrip(settings.kafka)), WAITED, limits)

    _leave("canary", judge, form, unreachable_is_critical=True)


def _leave(
    check: str,
    judge: "Callable[[], Verdict]",
    form: Output,
    *,
    unreachable_is_critical: bool = False,
) -> NoReturn:
    """Say the verdict and leave with its code; what kept it from being found is one, too."""
    from bus.watch import verdicts

    try:
        verdict = judge()
    except BusError as error:
        unreachable = unreachable_is_critical and isinstance(error, BusUnavailable)
        verdict = verdicts.failed(f"{error.code} {error}", unreachable=unreachable)
    if form is Output.json:
        emit(verdicts.as_json(check, verdict))
    else:
        typer.echo(verdicts.nagios(check, verdict))
    raise typer.Exit(int(verdict.status))


def _limits(warn: str | None, critical: str | None) -> "Limits":
    from bus.watch.limits import Limits

    return Limits.at_most(_seconds(warn, "--warn"), _seconds(critical, "--critical"))


def _seconds(text: str | None, where: str) -> float | None:
    return None if text is None else duration(text, where=where).total_seconds()


async def _broker(kafka: "KafkaSettings") -> "Verdict":
    from bus.admin import Admin
    from bus.watch import verdicts

    async with Admin(kafka) as admin:
        layout = await admin.layout()
    leaderless = [f"{t}-{p}" for (t, p), leader in sorted(layout.leaders.items()) if leader < 0]
    lagging = [f"{topic}-{partition}" for topic, partition in sorted(layout.lagging)]
    return verdicts.broker(len(layout.brokers), leaderless, lagging)


async def _rights(settings: "Settings") -> "Verdict":
    from bus.admin import Access
    from bus.kafka import require_rules
    from bus.schemas import SchemaClient
    from bus.trust.client import TrustClient
    from bus.trust.lockout import locks
    from bus.trust.rights import changes, wanted
    from bus.watch import verdicts

    await require_rules(settings.kafka)
    async with Access(settings.kafka) as access:
        there, users = await access.rules(), await access.users()
    # Read after the rules, so that nothing that was just put in force looks like too much.
    async with TrustClient.of(settings) as client, SchemaClient.of(settings) as schemas:
        ledger, contracts = await client.follow(), await schemas.contracts()
    at = max(int(time.time() * 1000), ledger.at)
    shall = wanted(ledger.standing, frozenset(contracts), at)
    missing, surplus = changes(ledger.standing, shall, there)
    without = set(ledger.standing.systems) - set(users) - set(locks(ledger.standing, at))
    return verdicts.rights(
        [str(rule) for rule in sorted(missing)],
        [str(rule) for rule in sorted(surplus)],
        sorted(without),
    )


async def _survey(kafka: "KafkaSettings", groups: list[str] | None) -> Any:
    from bus.watch.surveyor import Surveyor

    async with Surveyor(kafka, client_id=CLIENT_ID) as surveyor:
        survey = await surveyor.survey(groups or None)
    for group in groups or ():
        if group not in survey.groups:
            raise NotFound("there is no such group", where=group)
    return survey


async def _roundtrip(kafka: "KafkaSettings") -> float | None:
    """Return the seconds that an event took to come back; None if it did not."""
    from bus.admin import Admin
    from bus.kafka import LogReader, Producer, Record
    from bus.watch.canary import SPEC, TOPIC

    async with Admin(kafka) as admin:
        await admin.ensure_topic(SPEC)
    name = uuid4().hex.encode()
    async with (
        Producer(kafka, client_id=CLIENT_ID) as producer,
        LogReader(kafka, client_id=CLIENT_ID) as reader,
    ):
        first, end = (await reader.bounds(TOPIC))[0]
        at = max(first, end)
        began = time.monotonic()
        await producer.append(TOPIC, 0, [Record(name, b"check")], timeout=WAITED)
        while (left := began + WAITED - time.monotonic()) > 0:
            for record in await reader.read(TOPIC, 0, at, max_wait=left):
                at = record.offset + 1
                if record.key == name:
                    return time.monotonic() - began
    return None
