"""`stadtbus system`: members' applications and their keys."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.options import Format, Output, Registry, client_settings
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
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.trust.ledger import Ledger
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
    """List systems, whether what they sign now counts, what they publish, and their keys."""
    standing = ledger(registry).standing
    rows = [
        {
            "system": system.id,
            "state": _state(standing, system),
            "publishes": list(system.publishes),
            "keys": {key: key_in_words(standing.keys[key]) for key in system.keys},
        }
        for system in standing.systems.values()
        if member in (None, system.member)
    ]
    show("systems", rows, ("system", "state", "publishes", "keys"), output)


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


@app.command("register")
def register(
    system: SystemId,
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC]...",
            help="contracts that it publishes, such as sensor.reading.v1 [default: none]",
            show_default=False,
        ),
    ] = None,
    sign: Sign = None,
    passphrase_file: PassphraseFile = None,
    to: To = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Register a system for the contracts that it publishes, and no others; its member signs.

    On a secured engine it may write to their topics within five seconds, and no longer to those of
    contracts that it was registered for before and that are not named again.
    """
    says = {"system": system, "topics": sorted(set(topics or ()))}
    state("system-publishes", says, Way(sign, passphrase_file, to, registry, output))


@app.command("rights")
def rights(system: SystemId, registry: Registry = None, output: Output = Format.table) -> None:
    """List what a system may do on a secured engine, and why; the journal alone decides.

    Whether the engine keeps to it is told by `stadtbus check rights`.
    """
    from bus.trust.lockout import denials, lock_of
    from bus.trust.rights import Right, rights_of

    ledger, contracts = asyncio.run(_ledger_and_contracts(registry))
    standing, now = ledger.standing, int(datetime.now(UTC).timestamp() * 1000)
    found = standing.systems.get(system)
    if found is None:
        raise NotFound("there is no such system", where=system, remedy="see `stadtbus system ls`")
    lock = lock_of(standing, system, max(now, ledger.at))
    if lock is None:
        given = rights_of(found, contracts)
    else:
        why = "it is retired, or its member has left" if lock == "gone" else "it is suspended"
        given = [Right(rule, why) for rule in denials(system)]
    rows = [
        {
            "may": "may" if rule.allow else "may not",
            "operation": rule.operation,
            "kind": rule.kind,
            "name": f"{rule.name}*" if rule.prefixed else rule.name,
            "why": why,
        }
        for rule, why in given
    ]
    show("rights", rows, ("may", "operation", "kind", "name", "why"), output)


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


async def _ledger_and_contracts(registry: str | None) -> "tuple[Ledger, list[str]]":
    """Return who is who, and the topics of the contracts in force."""
    from bus.schemas import SchemaClient
    from bus.trust.client import TrustClient

    settings = client_settings(None, registry)
    async with TrustClient.of(settings) as client, SchemaClient.of(settings) as schemas:
        return await client.follow(), await schemas.contracts()


def _state(standing: "Standing", system: "System") -> str:
    """Return ``active``, or why nothing counts that the system signs now."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    faults = [standing.fault_of(key, now) for key in reversed(system.keys)]
    return "active" if None in faults else str(faults[0])
