"""What all commands that say something for good share: composing, signing, handing in."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bus.cli.edge import say
from bus.cli.options import Format, client_settings
from bus.cli.output import show_one
from bus.errors import InvalidInput, InvalidSettings

if TYPE_CHECKING:
    from bus.trust.client import TrustClient
    from bus.trust.keys import FileSigner, Passphrase
    from bus.trust.ledger import Ledger, OnStep
    from bus.trust.records import Key
    from bus.trust.statements import Statement

VALID_DAYS = 730
"""How long a key counts if nobody says otherwise: two years."""

T = TypeVar("T")

Sign = Annotated[
    list[Path] | None,
    typer.Option(
        "--sign",
        metavar="KEYFILE",
        help="the private key that signs; may be given again",
        show_default=False,
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="the keys' passphrase in its first line [default: it is asked for]",
        show_default=False,
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="write the statement there instead of handing it in: for a key that is kept elsewhere",
        show_default=False,
    ),
]
PublicKey = Annotated[
    Path, typer.Option("--key", metavar="PUBLIC.pem", help="the public half of the new key")
]
Days = Annotated[int, typer.Option(min=1, max=3660, help="how many days the key counts")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="from when on [default: now]", show_default=False),
]
Reason = Annotated[str, typer.Option(help="why, for everybody to read; no names of persons")]


@dataclass(frozen=True, slots=True)
class Way:
    """How a statement gets from here to the journal, as the options say.

    Args:
        sign: the files of the private keys that sign.
        passphrase_file: what holds their passphrase; None to ask for it.
        to: where it is written instead of being handed in.
        registry: where it is handed in.
        output: how it is told.
    """

    sign: Sequence[Path] | None
    passphrase_file: Path | None
    to: Path | None
    registry: str | None
    output: Format


def state(kind: str, says: Mapping[str, Any], way: Way) -> None:
    """Compose a statement, sign it, and hand it in; or write it to a file.

    Raises:
        InvalidSettings: nobody would sign, and it would go nowhere.
        InvalidStatement, StatementRefused: it would have no effect.
    """
    require_way(way)
    signers = [opened(file, way.passphrase_file) for file in way.sign or []]

    async def write(client: "TrustClient") -> dict[str, Any]:
        from bus.trust.statements import compose

        ledger = await client.follow()
        statement = compose(ledger.chain, kind, says, issued=datetime.now(UTC)).signed(*signers)
        if way.to is not None:
            return _written(statement, way.to)
        ledger.judge(statement, datetime.now(UTC))
        return {"kind": kind, "entry": await client.hand_in(statement)}

    show_one(ask(way.registry, write), way.output)


def require_way(way: Way) -> None:
    """Refuse a statement that would go nowhere, before anybody is asked anything.

    Raises:
        InvalidSettings: nobody would sign, and it would go nowhere.
    """
    if not way.sign and way.to is None:
        raise InvalidSettings(
            "nobody signs this",
            where="--sign",
            remedy="name the private key's file, or --to a file for signing elsewhere",
        )


def with_reason(says: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return what a statement says together with why, if somebody said why."""
    return says | ({"reason": reason} if reason else {})


def submit(file: Path, *, registry: str | None, output: Format) -> None:
    """Hand in a statement that lies in a file."""
    statement = read_statement(file)

    async def write(client: "TrustClient") -> dict[str, Any]:
        ledger = await client.follow()
        ledger.judge(statement, datetime.now(UTC))
        return {"kind": statement.kind, "entry": await client.hand_in(statement)}

    show_one(ask(registry, write), output)


def ledger(registry: str | None) -> "Ledger":
    """Return who is who, folded here from what the registry hands out."""

    async def read(client: "TrustClient") -> "Ledger":
        return await client.follow()

    return ask(registry, read)


def ask(
    registry: str | None,
    question: "Callable[[TrustClient], Awaitable[T]]",
    on_step: "OnStep | None" = None,
) -> T:
    """Ask something of the registry.

    Args:
        registry: where it is.
        question: what to ask.
        on_step: is told of each step of a grant, as it is read.
    """
    from bus.trust.client import TrustClient

    settings = client_settings(None, registry)

    async def asked() -> T:
        async with TrustClient.of(settings, on_step) as client:
            return await question(client)

    return asyncio.run(asked())


def opened(file: Path, passphrase_file: Path | None) -> "FileSigner":
    """Return the signer of a key file.

    Raises:
        InvalidKey: it cannot be used.
    """
    from bus.trust.keys import FileSigner

    return FileSigner.open(file, _passphrase(file, passphrase_file))


def read_statement(file: Path) -> "Statement":
    """Return the statement that lies in a file.

    Raises:
        InvalidInput: the file cannot be read.
        InvalidStatement: it is none.
    """
    from bus.avro.schema import load
    from bus.errors import BusError
    from bus.trust.statements import read

    try:
        body = load(file.read_text(encoding="utf-8"), max_bytes=2**20)
    except (OSError, ValueError, BusError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(file)) from error
    return read(body)


def key_says(file: Path, since: str | None, days: int) -> dict[str, str]:
    """Return a new key as statements carry it.

    Raises:
        InvalidKey: the file holds no public key.
        InvalidSettings: the time is none.
    """
    from bus.event import write_time
    from bus.trust.keys import public_text, read_public

    begin = moment(since, "--from")
    return {
        "public": public_text(read_public(file)),
        "from": write_time(begin),
        "until": write_time(begin + timedelta(days=days)),
    }


def key_in_words(key: "Key") -> str:
    """Return when a key counts."""
    from bus.cli.when import iso_ms

    until = "" if key.until is None else f" until {iso_ms(key.until)}"
    revoked = "" if key.revoked is None else f", revoked from {iso_ms(key.revoked)} on"
    by_root = ", put there by the root alone" if key.by_root else ""
    return f"from {iso_ms(key.since)}{until}{revoked}{by_root}"


def moment(text: str | None, where: str) -> datetime:
    """Return a time that somebody wrote, to the second; now if nobody did.

    Raises:
        InvalidSettings: it is none.
    """
    from bus.cli.when import instant

    now = datetime.now(UTC)
    time = now if text is None else instant(text, now=now, where=where)
    return time.replace(microsecond=0)


def day(text: str | None, where: str) -> str:
    """Return a day that somebody wrote; today in UTC if nobody did.

    Raises:
        InvalidSettings: it is none.
    """
    if text is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InvalidSettings(
            f'"{text}" is no day', where=where, remedy="write 2027-01-01"
        ) from error


def _passphrase(file: Path, passphrase_file: Path | None) -> "Passphrase":
    from bus.settings import secret

    def asked() -> bytes:
        if passphrase_file is not None:
            return secret(passphrase_file, "--passphrase-file", "passphrase").encode()
        return str(typer.prompt(f"Passphrase of {file}", hide_input=True, err=True)).encode()

    return asked


def _written(statement: "Statement", to: Path) -> dict[str, Any]:
    from bus.files import write

    try:
        write(to, (json.dumps(statement.body(), ensure_ascii=False, indent=2) + "\n").encode())
    except OSError as error:
        raise InvalidInput(f"cannot be written: {error.strerror}", where=str(to)) from error
    say(f"sign it where the key is: stadtbus trust sign {to} --sign KEYFILE")
    return {"kind": statement.kind, "file": str(to), "signatures": len(statement.signatures)}
