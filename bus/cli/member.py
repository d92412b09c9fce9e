"""`stadtbus member`: who belongs to the bus."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.options import Format, Output, Registry
from bus.cli.output import show, show_one
from bus.cli.signing import (
    VALID_DAYS,
    Days,
    PassphraseFile,
    PublicKey,
    Reason,
    Sign,
    To,
    Way,
    day,
    key_in_words,
    key_says,
    ledger,
    state,
    with_reason,
)
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.trust.records import Member
    from bus.trust.standing import Standing

app = typer.Typer(help="Who belongs to the bus.", no_args_is_help=True)

MUNICIPALITY = "de.mun."
NONE = "none"
"""What is written for an attribute that ends."""

MemberId = Annotated[str, typer.Argument(help="the member, such as de.mun.092720140140")]
Name = Annotated[str | None, typer.Option(help="what people call it", show_default=False)]
Contact = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="the office that answers questions, no person"),
]
Privacy = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="the office for data protection, no person")
]
Ars = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="the municipality's official code, 12 digits; none ends it"),
]
ArsFrom = Annotated[
    str | None, typer.Option(metavar="DAY", help="the day from which the code holds")
]
Association = Annotated[
    str | None,
    typer.Option(metavar="MEMBER", help="the association that it belongs to; none ends it"),
]
AssociationFrom = Annotated[
    str | None, typer.Option(metavar="DAY", help="the day from which it belongs there")
]
NewCode = Annotated[
    bool, typer.Option("--new-code", help="the code is newer than the directory that is shipped")
]


@app.command("ls")
def ls(registry: Registry = None, output: Output = Format.table) -> None:
    """List the members, with their state and official codes of today."""
    today = datetime.now(UTC).date()
    rows = [
        {
            "member": member.id,
            "name": member.name,
            "state": member.phase,
            "ars": member.ars_on(today),
            "association": member.association_on(today),
            "contact": member.contact,
        }
        for member in ledger(registry).standing.members.values()
    ]
    show("members", rows, ("member", "name", "state", "ars", "association"), output)


@app.command("show")
def show_member(member: MemberId, registry: Registry = None, output: Output = Format.table) -> None:
    """Show a member with its history, its keys and its systems."""
    standing = ledger(registry).standing
    found = standing.members.get(member)
    if found is None:
        raise NotFound("there is no such member", where=member, remedy="`stadtbus member ls`")
    show_one(_described(standing, found), output)


@app.command("find")
def find(
    words: Annotated[list[str], typer.Argument(help="parts of names, or the code's first digits")],
    limit: Annotated[int, typer.Option(min=1, help="how many at the most")] = 20,
    output: Output = Format.table,
) -> None:
    """Find a municipality's official code in the directory that is shipped (Destatis)."""
    from bus.trust.municipalities import AS_OF, directory

    found = directory().find(" ".join(words))
    rows = [
        {
            "ars": one.ars,
            "name": one.name,
            "district": one.district,
            "association": one.association or None,
            "state": one.state,
            "member": one.member,
        }
        for one in found[:limit]
    ]
    if not rows:
        raise NotFound(
            f"no municipality is called so in the directory of {AS_OF:%d.%m.%Y}",
            where=" ".join(words),
            remedy="try fewer words, or the district's name",
        )
    show("municipalities", rows, ("ars", "name", "district", "state", "member"), output)


@app.command("admit")
def admit(
    member: MemberId,
    key: PublicKey,
    contact: Annotated[
        str, typer.Option(metavar="ADDRESS", help="the office that answers questions, no person")
    ],
    privacy: Annotated[
        str, typer.Option(metavar="ADDRESS", help="the office for data protection, no person")
    ],
    name: Name = None,
    ars: Ars = None,
    ars_from: ArsFrom = None,
    association: Association = None,
    association_from: AssociationFrom = None,
    new_code: NewCode = False,
    days: Days = VALID_DAYS,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Admit a member, with its first key; the root signs.

    A municipality's name and official code are those of its id. Compare the key's name with its
    owner over another channel before: it is what everything that it signs hangs on.
    """
    if ars is None and member.startswith(MUNICIPALITY):
        ars = member.removeprefix(MUNICIPALITY)
    dated = _dated(ars, ars_from, association, association_from, new_code=new_code)
    says = {
        "member": member,
        "name": name or _name(ars) or member,
        "contact": contact,
        "privacy": privacy,
        "key": key_says(key, None, days),
        **dated,
    }
    state("member", says, Way(sign, passphrase_file, to, registry, output))


@app.command("change")
def change(
    member: MemberId,
    name: Name = None,
    contact: Contact = None,
    privacy: Privacy = None,
    ars: Ars = None,
    ars_from: ArsFrom = None,
    association: Association = None,
    association_from: AssociationFrom = None,
    new_code: NewCode = False,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Change a member's name, addresses, official code or association; the root signs.

    A new code or association holds from a day on; what was before it stays as it was.
    """
    given = {"name": name, "contact": contact, "privacy": privacy}
    says = {
        "member": member,
        **{field: value for field, value in given.items() if value is not None},
        **_dated(ars, ars_from, association, association_from, new_code=new_code),
    }
    state("member-changed", says, Way(sign, passphrase_file, to, registry, output))


@app.command("suspend")
def suspend(
    member: MemberId,
    reason: Reason = "",
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Suspend a member: its keys and its systems do not count until it is resumed; the root signs.

    On a secured engine its systems may do nothing within five seconds, on open connections too.
    """
    says = with_reason({"member": member}, reason)
    state("member-suspended", says, Way(sign, passphrase_file, to, registry, output))


@app.command("resume")
def resume(
    member: MemberId,
    reason: Reason = "",
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Resume a suspended member; the root signs."""
    says = with_reason({"member": member}, reason)
    state("member-resumed", says, Way(sign, passphrase_file, to, registry, output))


@app.command("leave")
def leave(
    member: MemberId,
    reason: Reason = "",
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Let a member leave for good; it signs itself, or the root does. Its id is not given again."""
    says = with_reason({"member": member}, reason)
    state("member-left", says, Way(sign, passphrase_file, to, registry, output))


def _dated(
    ars: str | None,
    ars_from: str | None,
    association: str | None,
    association_from: str | None,
    *,
    new_code: bool,
) -> dict[str, Any]:
    """Return the attributes with dates, as statements carry them.

    Raises:
        NotFound: no municipality has this official code.
    """
    from bus.trust.municipalities import directory

    says: dict[str, Any] = {}
    if ars is not None:
        if ars != NONE and not new_code:
            directory().require(ars)
        value = None if ars == NONE else ars
        says["ars"] = {"value": value, "from": day(ars_from, "--ars-from")}
    if association is not None:
        value = None if association == NONE else association
        begin = day(association_from, "--association-from")
        says["association"] = {"value": value, "from": begin}
    return says


def _name(ars: str | None) -> str | None:
    from bus.trust.municipalities import directory

    found = directory().get(ars) if ars is not None else None
    return found.name if found else None


def _described(standing: "Standing", member: "Member") -> dict[str, Any]:
    from bus.cli.when import iso_ms

    systems = standing.systems_of(member.id)
    return {
        "member": member.id,
        "name": member.name,
        "contact": member.contact,
        "privacy": member.privacy,
        "state": {iso_ms(since): phase for since, phase in member.phases},
        "ars": {one.day.isoformat(): one.value for one in member.ars},
        "association": {one.day.isoformat(): one.value for one in member.association},
        "keys": {key: key_in_words(standing.keys[key]) for key in member.keys},
        "systems": [one.id for one in systems if one.retired is None],
        "retired": [one.id for one in systems if one.retired is not None],
    }
