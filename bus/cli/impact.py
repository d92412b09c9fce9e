"""`stadtbus grant impact`: who loses what before a contract changes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli import granted
from bus.cli.options import Format, Output, Registry
from bus.cli.output import show
from bus.errors import BusError, InvalidInput, InvalidSettings, NotFound

if TYPE_CHECKING:
    from bus.contracts import Contract
    from bus.trust.grants.impact import Loss

FOUND = 3


def impact(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="the contract's folder, or a schema (.avsc) with --topic [default: it ends]",
            show_default=False,
        ),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="the contract, for a schema or its end")] = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Say who would lose what if a contract changed so, by the grants that are live.

    Nothing is changed. The exit code is 3 if somebody would lose something.
    """
    after = None if path is None else _after(path, topic, registry)
    wanted = after.topic if after is not None else topic
    if wanted is None:
        raise InvalidSettings(
            "nobody knows which contract is to change",
            where="PATH, --topic",
            remedy="name its folder, or its topic to see what its end would mean",
        )
    rows = rows_of(losses(wanted, after, registry))
    if output is Format.table:
        for row in rows:
            typer.echo(row["sentence"])
        if not rows:
            typer.echo("Nobody would lose anything.")
    else:
        show("losses", rows, (), output)
    if rows:
        raise typer.Exit(FOUND)


def losses(topic: str, after: "Contract | None", registry: str | None) -> "list[Loss]":
    """Return who would lose what; nobody where there is no contract yet.

    Args:
        topic: the contract.
        after: as it would be; None: it ends.
        registry: where it is in force.
    """
    from bus.trust.grants.impact import differences
    from bus.trust.grants.impact import impact as impact_of

    before = granted.contracts_in_force(registry, [topic]).get(topic)
    if before is None:
        if after is None:
            raise NotFound("there is no contract for this topic", where=topic)
        return []
    changes = differences(before, after)
    if not changes or before.access != "restricted":
        return []
    _, history = granted.read(registry, lambda terms: terms.topic == topic)
    return impact_of(history.grants(), changes, after, granted.now_ms())


def rows_of(losses: "Iterable[Loss]") -> list[dict[str, Any]]:
    """Return losses as JSON values, each with its sentence."""
    from bus.trust.grants.impact import sentence

    return [
        {
            "grant": loss.grant.id.hex(),
            "recipient": loss.grant.terms.recipient,
            "everything": loss.everything,
            "sentence": sentence(loss, "en"),
        }
        for loss in losses
    ]


def _after(path: Path, topic: str | None, registry: str | None) -> "Contract":
    """Return the contract as it would be.

    Raises:
        InvalidContract: the folder holds none.
        InvalidSchema, InvalidInput: the file holds no schema.
        InvalidSettings: nobody knows which contract a schema is for.
    """
    from bus.avro.limits import admit
    from bus.contracts import load_folder

    if path.is_dir():
        return load_folder(path.absolute())
    if topic is None:
        raise InvalidSettings(
            "nobody knows which contract the schema is for",
            where="--topic",
            remedy="name its topic, or give the contract's folder",
        )
    try:
        schema = admit(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(path)) from error
    except BusError as error:
        error.where = str(path)
        raise
    before = granted.contract_in_force(registry, topic)
    return replace(before, versions=(*before.versions, schema.source))
