"""`stadtbus trust`: the root, statements that are signed elsewhere, and whether all of it holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Output, Registry
from bus.cli.output import printable, show_one
from bus.cli.signing import (
    PassphraseFile,
    Sign,
    To,
    Way,
    ledger,
    opened,
    read_statement,
    state,
)
from bus.cli.signing import submit as hand_in
from bus.errors import Conflict, InvalidSettings

if TYPE_CHECKING:
    from bus.trust.ledger import Ledger

app = typer.Typer(
    help="The root that attests members, and whether everything that was signed holds.",
    no_args_is_help=True,
)

NO = 3
"""The exit code of a question that was answered with no."""

RootKey = Annotated[
    Path, typer.Option("--key", metavar="PUBLIC.pem", help="the public half of the root's key")
]
File = Annotated[Path, typer.Argument(help="a statement's file, as --to wrote it")]


@app.command("begin")
def begin(
    key: RootKey,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Name the root's key, once; it signs itself. The user has to be one who may write.

    Tell its name to everybody on paper: it is what outsiders hold the bus to (`trust check
    --root`). Keep its private half apart from operation.
    """
    if ledger(registry).standing.root is not None:
        raise Conflict(
            "there is a root already",
            where=registry or "this bus",
            remedy="`stadtbus trust rotate` puts another key in its place",
        )
    _name_root(key, sign, passphrase_file, to, registry, output)


@app.command("rotate")
def rotate(
    key: RootKey,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Put another root key in the place of the old one; both sign (--sign twice)."""
    _name_root(key, sign, passphrase_file, to, registry, output)


@app.command("sign")
def sign_file(
    file: File,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    output: Output = Format.table,
) -> None:
    """Show what a statement says and add a signature to its file; asks no registry.

    For a key that is kept on a machine of its own.
    """
    import json

    from bus.files import replace

    if not sign:
        raise InvalidSettings("nobody signs this", where="--sign", remedy="name a key's file")
    statement = read_statement(file)
    statement = statement.signed(*(opened(one, passphrase_file) for one in sign))
    replace(file, (json.dumps(statement.body(), ensure_ascii=False, indent=2) + "\n").encode())
    show_one(
        {
            "kind": statement.kind,
            "issued": statement.issued.isoformat(),
            "bus": statement.chain,
            "says": json.dumps(statement.says, ensure_ascii=False),
            "signed_by": [one.key_id for one in statement.signatures],
        },
        output,
    )
    say(f"hand it in where the bus is: stadtbus trust submit {file}")


@app.command("submit")
def submit(file: File, registry: Registry = None, output: Output = Format.table) -> None:
    """Hand in a statement that was signed elsewhere; whoever can log in may bring it."""
    hand_in(file, registry=registry, output=output)


@app.command("check")
def check(
    root: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="the name that the root's key has on paper", show_default=False
        ),
    ] = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Verify every signature anew, and name every entry that has no effect, with the reason.

    Exits with 3 if there is such an entry, if the root alone gave a member a key, or if the root
    is another one than --root.
    """
    found = ledger(registry)
    wrong_root = root is not None and (
        found.standing.root is None or found.standing.root.id != root
    )
    summary = _summary(found)
    if output is Format.json:
        emit({"v": 1, **summary, "root_is_right": not wrong_root})
    else:
        _tell(summary, root if wrong_root else None)
    if wrong_root or found.alarms:
        raise typer.Exit(NO)


def _name_root(
    key: Path,
    sign: list[Path] | None,
    passphrase_file: Path | None,
    to: Path | None,
    registry: str | None,
    output: Format,
) -> None:
    from bus.trust.keys import public_text, read_public

    state(
        "root",
        {"public": public_text(read_public(key))},
        Way(sign, passphrase_file, to, registry, output),
    )


def _summary(found: "Ledger") -> dict[str, Any]:
    standing = found.standing
    return {
        "bus": found.chain,
        "root": standing.root.id if standing.root else None,
        "statements": found.statements,
        "members": len(standing.members),
        "systems": len(standing.systems),
        "keys": len(standing.keys),
        "alarms": [
            {
                "entry": one.number,
                "reason": one.reason,
                "sentence": one.sentence,
                "has_effect": one.has_effect,
            }
            for one in found.alarms
        ],
    }


def _tell(summary: dict[str, Any], wanted: str | None) -> None:
    alarms = summary.pop("alarms")
    show_one(summary, Format.table)
    if wanted is not None:
        typer.echo(f"✘ the root should be {wanted}, and is {summary['root']}")
    for one in alarms:
        effect = "" if one["has_effect"] else " has no effect"
        typer.echo(f"✘ entry {one['entry']}{effect}: {printable(one['sentence'])}")
    if not alarms and wanted is None:
        typer.echo("✔ every statement is signed by who may say it")
