"""`stadtbus key`: keys that sign, made and kept by their owner."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.edge import say
from bus.cli.options import Format, Output, Registry
from bus.cli.output import show_one
from bus.cli.signing import (
    VALID_DAYS,
    Days,
    From,
    PassphraseFile,
    PublicKey,
    Reason,
    Sign,
    To,
    Way,
    key_says,
    opened,
    state,
    with_reason,
)

app = typer.Typer(
    help="Keys that sign, made and kept by their owner (Ed25519).", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="a key's file, such as city.key")]
KeyName = Annotated[str, typer.Argument(metavar="KEY", help="the key's name, 32 digits of hex")]


@app.command("new")
def new(
    file: File,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="encrypt the private half with the passphrase in the first line of this file",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.table,
) -> None:
    """Make a key: FILE is the private half and stays here, FILE.pem the public one.

    Nothing is overwritten. The private half can be read by its owner alone (0600); nobody else
    needs it, the operator of the bus least of all.
    """
    from bus.settings import secret
    from bus.trust.keys import PUBLIC_SUFFIX, make

    passphrase = None
    if passphrase_file is not None:
        passphrase = secret(passphrase_file, "--passphrase-file", "passphrase").encode()
    signer = make(file, passphrase)
    public = str(file.with_suffix(PUBLIC_SUFFIX))
    show_one({"key": signer.key_id, "private": str(file), "public": public}, output)
    say(f"hand over {public}, and nothing else; keep a copy of {file} in a safe place")


@app.command("show")
def show_key(
    file: File, passphrase_file: PassphraseFile = None, output: Output = Format.table
) -> None:
    """Show a key's name and its public half; FILE is either half."""
    from bus.trust.keys import PUBLIC_SUFFIX, public_text, read_public
    from bus.trust.signer import key_id_of

    if file.suffix == PUBLIC_SUFFIX:
        public = read_public(file)
    else:
        public = opened(file, passphrase_file).public
    show_one({"key": key_id_of(public), "public": public_text(public)}, output)


@app.command("rotate")
def rotate(
    member: Annotated[str, typer.Argument(help="the member, such as de.mun.092720140140")],
    key: PublicKey,
    since: From = None,
    days: Days = VALID_DAYS,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Give a member a further key; both count until the old one ends or is revoked.

    It is signed by the old key and by the new one (--sign twice). Where the old one is lost, the
    root signs alone, and everybody sees an alarm. A system's next key is attested like its first:
    `stadtbus system attest`.
    """
    says = {"member": member, "key": key_says(key, since, days)}
    state("key", says, Way(sign, passphrase_file, to, registry, output))


@app.command("revoke")
def revoke(
    key: KeyName,
    since: From = None,
    reason: Reason = "",
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Revoke a key: what it signed and arrived before counts, what arrives later does not.

    Its member signs, the key itself, or the root.
    """
    from bus.cli.signing import moment
    from bus.event import write_time

    says = {"key": key}
    if since is not None:
        says["from"] = write_time(moment(since, "--from"))
    state(
        "key-revoked", with_reason(says, reason), Way(sign, passphrase_file, to, registry, output)
    )
