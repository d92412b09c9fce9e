"""`stadtbus grant`: who gets what of whose data, for what, and on which basis."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli import granted
from bus.cli.edge import say
from bus.cli.explaining import explain
from bus.cli.impact import impact
from bus.cli.options import Format, Kafka, Output, Registry
from bus.cli.output import show, show_one
from bus.cli.processing import register
from bus.cli.signing import PassphraseFile, Sign, To, Way, moment, require_way, state
from bus.errors import InvalidSettings

if TYPE_CHECKING:
    from bus.trust.grants.grant import Grant
    from bus.trust.grants.terms import Terms

ANSWERED_NO = 3

app = typer.Typer(
    help="Who gets what of whose data, for what, and on which basis.", no_args_is_help=True
)
app.command()(explain)
app.command()(impact)
app.command()(register)

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

    from bus.trust.grants.concerning import codes_of, is_ever_owned

    def wanted(terms: "Terms") -> bool:
        return recipient in (None, terms.recipient) and topic in (None, terms.topic)

    ledger, history = granted.read(registry, wanted)
    codes = codes_of(ledger.standing, owner or "")
    rows = [
        _row(grant)
        for grant in history.grants()
        if owner is None or is_ever_owned(grant.terms.owner, owner, codes)
    ]
    show("grants", rows, ("grant", "state", "recipient", "owner", "topic", "fields", "to"), output)


@app.command("show")
def show_grant(
    grant: GrantName,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Show what a grant says, in words too, what became of it, and what would flow.

    Up to three of the contract's newest events are shown as the recipient would get them, if the
    user may read its topic.
    """
    from bus.cli.when import iso_ms

    ledger, history = granted.read(registry)
    _, found = granted.one(grant, history)
    samples = granted.would_flow(found.terms, ledger, kafka, registry)

    steps = (("asked", found.asked_ms), ("decided", found.decided_ms), ("ended", found.ended_ms))
    row = _row(found) | {name: iso_ms(at) for name, at in steps if at is not None}
    row["words"] = granted.words(found.terms)
    if output is Format.json:
        row["samples"] = [granted.sample_row(sample) for sample in samples]
    show_one(row, output)
    if output is Format.table:
        granted.tell_samples(samples)


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


@app.command("approve")
def approve(
    grant: GrantName,
    why: Why = "",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Approve exactly what was asked for; the owner signs, with two keys if it wants.

    Says in words and with up to three real events what would flow, and asks.
    """
    way = Way(sign, passphrase_file, to, registry, output)
    require_way(way)
    ledger, history = granted.read(registry)
    digest, found = granted.one(grant, history)
    _check(found.terms, registry)
    _tell(found.terms)
    granted.tell_samples(granted.would_flow(found.terms, ledger, kafka, registry))
    if not yes and not typer.confirm("Is this to flow?", err=True):
        say("Nothing was changed.")
        raise typer.Exit(ANSWERED_NO)
    state("grant-approved", _with_why({"grant": digest}, why), way)


for _verb, _kind, _tells in (
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
    digest, found = granted.one(name, granted.read(way.registry)[1])
    _tell(found.terms)
    state(kind, _with_why({"grant": digest}, why), way)


def _with_why(says: dict[str, str], why: str) -> dict[str, str]:
    return says | ({"why": why} if why else {})


def _check(terms: "Terms", registry: str | None) -> None:
    """Hold a grant against its contract.

    Raises:
        InvalidGrant: it names fields that there are not, or asks of them what cannot be asked.
        NotFound: there is no such contract.
    """
    from bus.trust.grants.fitting import check

    check(terms, granted.contract_in_force(registry, terms.topic))


def _row(grant: "Grant") -> dict[str, Any]:
    from bus.event import write_time

    terms = grant.terms
    under = f" for all under {terms.owner.ars}" if terms.owner.ars else ""
    return {
        "grant": grant.id.hex(),
        "state": grant.phase(granted.now_ms()),
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


def _tell(terms: "Terms") -> None:
    """Say in plain words what is signed."""
    for sentence in granted.words(terms):
        say(sentence)
