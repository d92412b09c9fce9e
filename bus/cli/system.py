"""`stadtbus system`: members' applications and their keys."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.options import Format, Output, Registry
from bus.cli.output import show
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
    key_in_words,
    key_says,
    ledger,
    state,
    with_reason,
)

if TYPE_CHECKING:
    from bus.trust.records import System
    from bus.trust.standing import Standing

app = typer.Typer(help="Members' applications and their keys.", no_args_is_help=True)

SystemId = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="such as de.mun.092720140140.meldewesen")
]


@app.command("ls")
def ls(
    member: Annotated[
        str | None, typer.Argument(help="a member's alone [default: all]", show_default=False)
    ] = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """List systems, whether what they sign now counts, and their keys."""
    standing = ledger(registry).standing
    rows = [
        {
            "system": system.id,
            "state": _state(standing, system),
            "keys": {key: key_in_words(standing.keys[key]) for key in system.keys},
        }
        for system in standing.systems.values()
        if member in (None, system.member)
    ]
    show("systems", rows, ("system", "state", "keys"), output)


@app.command("attest")
def attest(
    system: SystemId,
    key: PublicKey,
    since: From = None,
    days: Days = VALID_DAYS,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Attest the key of a system, its first or a further one; its member signs.

    Earlier keys count until they end or are revoked, so that a key is changed without a gap.
    """
    says = {"system": system, "key": key_says(key, since, days)}
    state("system", says, Way(sign, passphrase_file, to, registry, output))


@app.command("retire")
def retire(
    system: SystemId,
    reason: Reason = "",
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Retire a system for good; its member signs, or the root.

    On a secured engine it may do nothing within five seconds, on open connections too, and cannot
    log in any more. Its id is not given again.
    """
    says = with_reason({"system": system}, reason)
    state("system-retired", says, Way(sign, passphrase_file, to, registry, output))


def _state(standing: "Standing", system: "System") -> str:
    """Return ``active``, or why nothing counts that the system signs now."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    faults = [standing.fault_of(key, now) for key in reversed(system.keys)]
    return "active" if None in faults else str(faults[0])
