"""`stadtbus grant`: who gets what of whose data, for what, and on which basis."""

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Output, Registry, client_settings
from bus.cli.output import show, show_one
from bus.cli.signing import PassphraseFile, Sign, To, Way, ask, moment, state
from bus.errors import InvalidSettings, NotFound

if TYPE_CHECKING:
    from bus.contracts import Contract
    from bus.trust.client import TrustClient
    from bus.trust.grants.grant import Grant
    from bus.trust.grants.history import History
    from bus.trust.grants.terms import Terms

app = typer.Typer(
    help="Who gets what of whose data, for what, and on which basis.", no_args_is_help=True
)

GrantName = Annotated[
    str, typer.Argument(metavar="GRANT", help="its name, or enough of its first digits")
]
Why = Annotated[str, typer.Option(help="why, for everybody to read; no names of persons")]


@app.command("ls")
def ls(
    owner: Annotated[
        str | None, typer.Option(metavar="MEMBER", help="who gets what of this member's data")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option(metavar="MEMBER", help="what this member gets")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="of this contract alone")] = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """List grants, those that were only asked for and those that ended among them."""

    def wanted(terms: "Terms") -> bool:
        return (
            owner in (None, terms.owner.member)
            and recipient in (None, terms.recipient)
            and topic in (None, terms.topic)
        )

    rows = [_row(grant) for grant in _history(registry, wanted).grants()]
    show("grants", rows, ("grant", "state", "recipient", "owner", "topic", "fields", "to"), output)


@app.command("show")
def show_grant(grant: GrantName, registry: Registry = None, output: Output = Format.table) -> None:
    """Show what a grant says, in words too, and what became of it."""
    from bus.cli.when import iso_ms

    _, found = _one(grant, _history(registry))

    steps = (("asked", found.asked_ms), ("decided", found.decided_ms), ("ended", found.ended_ms))
    row = _row(found) | {name: iso_ms(at) for name, at in steps if at is not None}
    show_one({**row, "words": _words(found.terms)}, output)


@app.command("ask")
def ask_for(
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help="such as resident.address-changed.v1")
    ],
    recipient: Annotated[str, typer.Option(metavar="MEMBER", help="the member that asks")],
    field: Annotated[list[str], typer.Option(help="a field of the event; may be given again")],
    purpose: Annotated[str, typer.Option(help="what for, a word of the vocabulary")],
    norm: Annotated[str, typer.Option(help='the norm that allows it, such as "§ 34 BMG"')],
    basis: Annotated[str, typer.Option(metavar="TEXT", help="the legal basis in words")],
    until: Annotated[str, typer.Option(metavar="TIME", help="when it ends")],
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="from when on [default: now]")
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="MEMBER", help="whose data")] = None,
    authority: Annotated[
        str | None,
        typer.Option(metavar="MEMBER", help="who decides for all under --ars, instead of --owner"),
    ] = None,
    ars: Annotated[
        str | None, typer.Option(metavar="CODE", help="the first digits of official codes")
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JSON", help='a condition, such as \'{"field": "cause", "in": ["MOVE"]}\''
        ),
    ] = None,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Ask a member for a part of its data; the recipient signs."""
    from bus.event import write_time
    from bus.trust.grants.terms import Terms

    says = {
        "owner": _owner(owner, authority, ars),
        "recipient": recipient,
        "topic": topic,
        "fields": sorted(set(field)),
        "rows": [_condition(one) for one in row or []],
        "purpose": purpose,
        "basis": {"text": basis, "norm": norm},
        "from": write_time(moment(since, "--since")),
        "to": write_time(moment(until, "--until")),
    }
    terms = Terms.from_json(says)
    _check(terms, registry)
    _tell(terms)
    state("grant-asked", says, Way(sign, passphrase_file, to, registry, output))


def _add_step(verb: str, kind: str, tells: str) -> None:
    """Add a command that takes a step of a grant; they differ in who signs, and what follows."""

    @app.command(verb, help=tells)
    def step(
        grant: GrantName,
        why: Why = "",
        sign: Sign = None,
        passphrase_file: PassphraseFile = None,
        to: To = None,
        registry: Registry = None,
        output: Output = Format.table,
    ) -> None:
        _step(kind, grant, why, Way(sign, passphrase_file, to, registry, output))


for _verb, _kind, _tells in (
    (
        "approve",
        "grant-approved",
        "Approve exactly what was asked for; the owner signs, with two keys if it wants.",
    ),
    ("refuse", "grant-refused", "Refuse what was asked for; the owner signs."),
    (
        "withdraw",
        "grant-withdrawn",
        "Take back what nobody has decided yet; the recipient signs.",
    ),
    ("revoke", "grant-revoked", "End a grant that was approved; the owner signs."),
    ("give-up", "grant-ended", "End a grant that is not needed any more; the recipient signs."),
):
    _add_step(_verb, _kind, _tells)


def _step(kind: str, name: str, why: str, way: Way) -> None:
    digest, found = _one(name, _history(way.registry))
    if kind == "grant-approved":
        _check(found.terms, way.registry)
    _tell(found.terms)
    state(kind, {"grant": digest} | ({"why": why} if why else {}), way)


def _check(terms: "Terms", registry: str | None) -> None:
    """Hold a grant against its contract.

    Raises:
        InvalidGrant: it names fields that there are not, or asks of them what cannot be asked.
        NotFound: there is no such contract.
    """
    from bus.schemas import SchemaClient
    from bus.trust.grants.fitting import check

    async def in_force() -> "Contract":
        async with SchemaClient.of(client_settings(None, registry)) as client:
            return await client.contract(terms.topic)

    check(terms, asyncio.run(in_force()))


def _history(registry: str | None, wanted: Any = lambda _: True) -> "History":
    """Return the grants, folded here from what the registry hands out."""
    from bus.trust.grants.history import History

    history = History(wanted)

    async def read(client: "TrustClient") -> "History":
        await client.follow()
        return history

    return ask(registry, read, history.take)


def _one(name: str, history: "History") -> "tuple[str, Grant]":
    """Return the one grant whose name begins so.

    Raises:
        NotFound: there is none, or more than one.
    """
    found = history.named(name) if name else []
    if len(found) != 1:
        what = f"{len(found)} grants have a name that begins so" if found else "there is no grant"
        raise NotFound(what, where=name, remedy="see `stadtbus grant ls` for whole names")
    return found[0]


def _row(grant: "Grant") -> dict[str, Any]:
    from bus.event import write_time

    terms = grant.terms
    under = f" for all under {terms.owner.ars}" if terms.owner.ars else ""
    return {
        "grant": grant.id.hex(),
        "state": grant.phase(int(datetime.now(UTC).timestamp() * 1000)),
        "recipient": terms.recipient,
        "owner": f"{terms.owner.member}{under}",
        "topic": terms.topic,
        "fields": ", ".join(terms.fields),
        "purpose": terms.purpose,
        "norm": terms.basis.norm,
        "from": write_time(terms.since),
        "to": write_time(terms.until),
    }


def _owner(owner: str | None, authority: str | None, ars: str | None) -> dict[str, str]:
    if owner is not None and authority is None and ars is None:
        return {"member": owner}
    if owner is None and authority is not None and ars is not None:
        return {"authority": authority, "ars": ars}
    raise InvalidSettings(
        "whose data it is has to be said in one way",
        where="--owner, --authority, --ars",
        remedy="give --owner MEMBER, or --authority MEMBER and --ars CODE",
    )


def _condition(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidSettings(
            f"is no JSON: {error}",
            where=f"--row {text}",
            remedy='write {"field": "cause", "in": ["MOVE"]}, in single quotes',
        ) from error


def _words(terms: "Terms") -> list[str]:
    from bus.trust.grants.plain import plain

    return plain(terms, "en")


def _tell(terms: "Terms") -> None:
    """Say in plain words what is signed."""
    for sentence in _words(terms):
        say(sentence)
