"""`stadtbus user`: who can log in."""

import asyncio
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, client_settings
from bus.cli.output import show, show_one
from bus.errors import Conflict, InvalidSettings, NotFound

if TYPE_CHECKING:
    from bus.admin import Access, Rule
    from bus.settings import Settings

app = typer.Typer(help="Who can log in: users of a secured engine.", no_args_is_help=True)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}")
"""What stands in all the settings of a client's folder as it is, and names a folder."""

User = Annotated[str, typer.Argument(help="the user, such as de.agency.statistik.bericht")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="where the user's settings and password go [default: a folder of its name]",
        show_default=False,
    ),
]


@app.command("ls")
def ls(kafka: Kafka = None, output: Output = Format.table) -> None:
    """List the users who log in by SCRAM, and how many rules each has."""
    rows = asyncio.run(_list(client_settings(kafka, None)))
    show("users", rows, ("user", "rules"), output)


@app.command("add")
def add(
    user: User,
    folder: Folder = None,
    publish: Annotated[
        list[str] | None, typer.Option(metavar="TOPIC", help="it may publish to this topic")
    ] = None,
    subscribe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOPIC",
            help="it may subscribe to this topic, in groups of its member, and set events aside",
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="give a user that is there another password")
    ] = False,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Make a user with a password of its own, and a folder that lets its programs in.

    The folder has stadtbus.toml, client.properties (Java), kcat.conf (librdkafka), the password and
    the authority's certificate: hand it over, and keep none. Programs that run in it are let in.
    """
    _require_name(user)
    place = folder or Path(user)
    _require_free(place, user)
    settings = client_settings(kafka, None)
    rules = rules_of(user, publish or [], subscribe or [])
    made = asyncio.run(_add(settings, user, rules, place, renew=renew))
    show_one({"user": user, "folder": str(place), "rules": made}, output)


@app.command("remove")
def remove(user: User, kafka: Kafka = None) -> None:
    """Take a user's rules, tokens and password; what it has open may do nothing from then on."""
    count = asyncio.run(_remove(client_settings(kafka, None), user))
    say(f"{user} can log in no more; {count} rules went with it")


def _require_name(user: str) -> None:
    if not _NAME.fullmatch(user):
        raise InvalidSettings(
            "a user's name has letters without accents, digits and . _ @ + - and begins with a "
            "letter or digit",
            where=user or '""',
            remedy="name it like de.agency.statistik.bericht",
        )


def _require_free(place: Path, user: str) -> None:
    """Refuse another user's folder, whose password would be lost."""
    try:
        there = tomllib.loads((place / "stadtbus.toml").read_text(encoding="utf-8"))
        owner = there["kafka"]["username"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        owner = None
    if owner != user:
        raise Conflict(
            f"this is the folder of {owner or 'somebody else'}",
            where=str(place),
            remedy="name another one by --folder",
        )


def rules_of(user: str, publish: list[str], subscribe: list[str]) -> "list[Rule]":
    """Return what a user needs for publishing and subscribing.

    Raises:
        InvalidSettings: a subscriber is no system of a member, so it has no groups.
    """
    from bus.admin import Rule
    from bus.event import member_of

    rules = [Rule(user=user, kind="topic", name=topic, operation="Write") for topic in publish]
    if not subscribe:
        return rules
    member = member_of(user)
    if member is None:
        raise InvalidSettings(
            "subscribers belong to a member, whose groups they are in",
            where=user,
            remedy="name it like de.agency.statistik.bericht, or give rights by `stadtbus acl add`",
        )
    rules += [Rule(user=user, kind="topic", name=topic, operation="Read") for topic in subscribe]
    needed = [("group", f"{member}.", "Read")]
    needed += [("topic", f"dead.{member}.", operation) for operation in ("Create", "Write")]
    needed += [("topic", f"redrive.{member}.", operation) for operation in ("Create", "Read")]
    return rules + [
        Rule(user=user, kind=kind, name=name, prefixed=True, operation=operation)
        for kind, name, operation in needed
    ]


async def _list(settings: "Settings") -> list[dict[str, Any]]:
    from bus.admin import Access
    from bus.kafka import require_rules

    await require_rules(settings.kafka)
    async with Access(settings.kafka) as access:
        users, rules = await access.users(), await access.rules()
    return [{"user": user, "rules": sum(rule.user == user for rule in rules)} for user in users]


async def _add(
    settings: "Settings", user: str, rules: "list[Rule]", place: Path, *, renew: bool
) -> int:
    from bus.admin import Access
    from bus.kafka import require_rules
    from bus.security.clients import Access as Entry
    from bus.security.clients import hand_out
    from bus.security.password import password

    if settings.kafka.ca_file is None:
        raise InvalidSettings(
            "the user's folder needs the certificate that the engine's leads to",
            where="kafka.ca_file",
            remedy="run this where the administrator's settings are, or name the file",
        )
    await require_rules(settings.kafka)
    secret = password().decode().strip()
    entry = Entry(
        bootstrap=settings.kafka.bootstrap,
        registry=settings.registry.url,
        mechanism=settings.kafka.sasl_mechanism,
        user=user,
        password=secret,
        ca=settings.kafka.ca_file.read_text(encoding="utf-8"),
    )
    async with Access(settings.kafka) as access:
        await _refuse(access, user, renew=renew)
        # Written before it counts: a password that nobody has is of no use.
        hand_out(entry, place)
        await access.set_password(user, secret)
        await access.add_rules(rules)
    return len(rules)


async def _refuse(access: "Access", user: str, *, renew: bool) -> None:
    there = user in await access.users()
    if there and not renew:
        raise Conflict(
            "there is such a user", where=user, remedy="--renew gives it another password"
        )
    if renew and not there:
        raise NotFound("there is no such user", where=user, remedy="leave out --renew to make it")


async def _remove(settings: "Settings", user: str) -> int:
    from bus.admin import Access
    from bus.kafka import require_rules
    from bus.tokens.topic import all_tokens, revoke

    await require_rules(settings.kafka)
    tokens = await all_tokens(settings.kafka)
    await revoke(settings.kafka, [token.id for token in tokens.of(user)])
    async with Access(settings.kafka) as access:
        return await access.remove_user(user)
