"""`stadtbus token`: bearer tokens for the registry and the page."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Kafka, Output, client_settings
from bus.cli.output import show, show_one
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.settings import Settings
    from bus.tokens import Token

app = typer.Typer(
    help="Bearer tokens: logins for the registry and the page that end by themselves.",
    no_args_is_help=True,
)

DAY_MS = 86_400_000

User = Annotated[
    str, typer.Argument(help="the system or user that it is bound to, such as de.mun.….meldewesen")
]
TokenId = Annotated[str, typer.Argument(help="the token's name: the 16 digits after stadtbus_")]


@app.command("new")
def new(
    user: User,
    days: Annotated[int, typer.Option(min=1, max=366, help="how long it counts")] = 90,
    role: Annotated[
        Literal["", "viewer", "operator", "administrator"],
        typer.Option(
            help="what it may do on the page [default: nothing, it is for the registry alone]",
            show_default=False,
        ),
    ] = "",
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """Make a token and show it, once; nothing that is kept tells it.

    At the registry it is as good as its user's password: who may write there, may with it. It lets
    nobody in at the engine. It ends by itself, when it is revoked, and while its system is locked
    out.
    """
    token, text = asyncio.run(_new(client_settings(kafka, None), user, days, role))
    show_one({"token": text, "id": token.id, "user": user, "until": _time(token.until)}, output)
    if output is not Format.json:
        say("it is shown this once; send it as: Authorization: Bearer TOKEN")


@app.command("ls")
def ls(
    user: Annotated[
        str | None, typer.Argument(help="one user's alone [default: all]", show_default=False)
    ] = None,
    kafka: Kafka = None,
    output: Output = Format.table,
) -> None:
    """List tokens by their names: whose they are, until when, and whether they count."""
    book = asyncio.run(_all(client_settings(kafka, None)))
    now = time.time() * 1000
    rows = [
        {
            "id": token.id,
            "user": token.user,
            "role": token.role,
            "issued": _time(token.issued),
            "until": _time(token.until),
            "state": _state(token, now, locked=token.user in book.locked),
        }
        for token in sorted(book.tokens.values(), key=lambda one: (one.user, one.issued))
        if user in (None, token.user)
    ]
    show("tokens", rows, ("id", "user", "role", "issued", "until", "state"), output)


@app.command("revoke")
def revoke(token: TokenId, kafka: Kafka = None) -> None:
    """Let a token count no more, within five seconds, wherever it is used."""
    user = asyncio.run(_revoke(client_settings(kafka, None), token))
    say(f"the token {token} of {user} counts no more")


def _state(token: "Token", now: float, *, locked: bool) -> str:
    if now >= token.until:
        return "ended"
    return "locked out" if locked else "counts"


def _time(at: int) -> str:
    from bus.cli.when import iso_ms

    return iso_ms(at)


async def _new(settings: "Settings", user: str, days: int, role: str) -> "tuple[Token, str]":
    from bus.admin import Access
    from bus.kafka import require_rules
    from bus.tokens import made
    from bus.tokens.topic import keep

    await require_rules(settings.kafka)
    async with Access(settings.kafka) as access:
        if user not in await access.users() and not await _is_system(settings, user):
            raise NotFound(
                "there is neither such a user nor such a system",
                where=user,
                remedy="see `stadtbus user ls` and `stadtbus system ls`",
            )
    now = int(time.time() * 1000)
    token, text = made(user, now=now, until=now + days * DAY_MS, role=role)
    await keep(settings.kafka, token)
    return token, text


async def _is_system(settings: "Settings", name: str) -> bool:
    from bus.event import member_of
    from bus.trust.client import TrustClient

    if member_of(name) is None:
        return False
    async with TrustClient.of(settings) as client:
        return name in (await client.follow()).standing.systems


async def _all(settings: "Settings") -> Any:
    from bus.kafka import require_rules
    from bus.tokens.topic import all_tokens

    await require_rules(settings.kafka)
    return await all_tokens(settings.kafka)


async def _revoke(settings: "Settings", name: str) -> str:
    from bus.tokens.topic import revoke

    token = (await _all(settings)).tokens.get(name)
    if token is None:
        raise NotFound("there is no such token", where=name, remedy="see `stadtbus token ls`")
    await revoke(settings.kafka, [name])
    return str(token.user)
