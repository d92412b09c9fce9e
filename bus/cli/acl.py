"""`stadtbus acl`: who may do what."""

import asyncio
from dataclasses import asdict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, client_settings
from bus.cli.output import show
from bus.errors import InvalidSettings, NotFound

if TYPE_CHECKING:
    from bus.admin import Rule
    from bus.settings import Settings

app = typer.Typer(
    help="Who may do what: rules of a secured engine. What no rule allows is denied.",
    no_args_is_help=True,
)

User = Annotated[str, typer.Argument(help="the user; * for everybody")]
Kind = Annotated[str, typer.Argument(help="topic, group, cluster or transactional-id")]
Name = Annotated[
    str, typer.Argument(help="its name; sensor.* for names that begin so, * for all of them")
]
Operations = Annotated[
    list[str], typer.Argument(help="Kafka's words: Read, Write, Create, Describe, … or All")
]
Deny = Annotated[bool, typer.Option("--deny", help="deny it, whatever else allows it")]
Host = Annotated[str, typer.Option(metavar="ADDRESS", help="from this address alone")]


@app.command("ls")
def ls(
    user: Annotated[str | None, typer.Argument(help="one user [default: all]")] = None,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """List rules."""
    rules = asyncio.run(_rules(client_settings(kafka, None)))
    rows = [_row(rule) for rule in rules if user in (None, rule.user)]
    show("rules", rows, ("user", "may", "operation", "kind", "name", "host"), output)


@app.command("add")
def add(
    user: User,
    kind: Kind,
    name: Name,
    operations: Operations,
    deny: Deny = False,
    host: Host = "*",
    kafka: Kafka = None,
) -> None:
    """Put rules in force, one for each operation."""
    _refuse_what_never_applies(user, name)
    rules = rules_of(user, kind, name, operations, deny=deny, host=_address(host))
    asyncio.run(_add(client_settings(kafka, None), rules))
    for rule in rules:
        say(f"in force: {rule}")


@app.command("remove")
def remove(
    user: User,
    kind: Kind,
    name: Name,
    operations: Operations,
    deny: Deny = False,
    host: Host = "*",
    kafka: Kafka = None,
) -> None:
    """Take rules out of force that were added with the same words."""
    rules = rules_of(user, kind, name, operations, deny=deny, host=host)
    count = asyncio.run(_remove(client_settings(kafka, None), rules))
    if not count:
        raise NotFound("there is no such rule", where=user, remedy=f"see `stadtbus acl ls {user}`")
    say(f"rules taken out of force: {count}")


def rules_of(
    user: str, kind: str, name: str, operations: list[str], *, deny: bool, host: str
) -> "list[Rule]":
    """Return the rules that a command's words mean.

    Raises:
        InvalidSettings: a word is none of Kafka's.
    """
    from bus.admin import Rule

    prefixed = name.endswith("*") and name != "*"
    return [
        Rule(
            user=user,
            kind=kind,
            name=name[:-1] if prefixed else name,
            prefixed=prefixed,
            operation=operation,
            allow=not deny,
            host=host,
        )
        for operation in operations
    ]


def _refuse_what_never_applies(user: str, name: str) -> None:
    """Refuse what an engine would take and never use: who denies something would rely on it.

    Raises:
        InvalidSettings: nobody, or nothing, is called so.
    """
    if user.startswith("User:"):
        bare = user.removeprefix("User:")
        raise InvalidSettings(
            "users are named without User: here", where=user, remedy=f"say {bare}"
        )
    if not name or "*" in name[:-1]:
        raise InvalidSettings(
            "is no name, nor the beginning of names",
            where=f'"{name}"',
            remedy="a * stands at the end, for all that begins so, or alone, for all",
        )


def _address(host: str) -> str:
    """Return an address as an engine compares it.

    Raises:
        InvalidSettings: it is none, so that no client would ever be meant.
    """
    if host == "*":
        return host
    try:
        return str(ip_address(host))
    except ValueError as error:
        raise InvalidSettings(
            f'"{host}" is no address of a client',
            where="--host",
            remedy="write an IPv4 or IPv6 address; neither names nor networks are compared",
        ) from error


def _row(rule: "Rule") -> dict[str, Any]:
    shown = asdict(rule) | {"may": "may" if rule.allow else "may not"}
    return shown | {"name": f"{rule.name}*" if rule.prefixed else rule.name}


async def _rules(settings: "Settings") -> "list[Rule]":
    from bus.admin import Access
    from bus.kafka import require_rules

    await require_rules(settings.kafka)
    async with Access(settings.kafka) as access:
        return await access.rules()


async def _add(settings: "Settings", rules: "list[Rule]") -> None:
    from bus.admin import Access

    async with Access(settings.kafka) as access:
        await access.add_rules(rules)


async def _remove(settings: "Settings", rules: "list[Rule]") -> int:
    from bus.admin import Access

    async with Access(settings.kafka) as access:
        return await access.remove_rules(rules)
