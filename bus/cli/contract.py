"""`stadtbus contract`: what event types there are, and putting one in force."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Output, Registry, client_settings
from bus.cli.output import show, show_one

if TYPE_CHECKING:
    from bus.contracts import Contract

app = typer.Typer(
    help="What event types there are, and putting one in force.", no_args_is_help=True
)

Folder = Annotated[
    Path, typer.Argument(help="a contract's folder, such as schemas/sensor/reading/v1")
]


@app.command("ls")
def ls(registry: Registry = None, output: Output = Format.table) -> None:
    """List the contracts in force."""
    rows = [
        {
            "topic": contract.topic,
            "title": contract.title["en"],
            "owner": contract.owner,
            "access": contract.access,
            "versions": len(contract.versions),
        }
        for contract in asyncio.run(_contracts(registry, None))
    ]
    show("contracts", rows, ("topic", "title", "owner", "access", "versions"), output)


@app.command("show")
def show_contract(
    topic: Annotated[str, typer.Argument(help="the contract's topic")],
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Show one contract: its rules, and its fields with what they mean."""
    (contract,) = asyncio.run(_contracts(registry, topic))
    if output is Format.json:
        show_one(contract.to_json(), output)
        return
    show_one(
        {
            "topic": contract.topic,
            "title": [contract.title["de"], contract.title["en"]],
            "description": contract.description["en"],
            "owner": contract.owner,
            "access": contract.access,
            "key": contract.key,
            "partitions": contract.partitions,
            "compatibility": contract.compatibility,
            "retention": contract.retention,
            "expected_interval": contract.expected_interval,
            "versions": len(contract.versions),
            "schema_ids": contract.schema_ids,
        },
        output,
    )
    show("fields", _fields(contract), ("field", "type", "sensitivity", "meaning"), output)


@app.command("check")
def check(
    folder: Folder,
    live: Annotated[
        bool,
        typer.Option("--live", help="also say who would lose what, by the grants on the bus"),
    ] = False,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Check a contract's folder: its rules, documentation, examples and versions.

    It needs no bus, unless it is to say who would lose what by it.
    """
    from bus.contracts import load_folder

    contract = load_folder(folder.absolute())
    if live:
        _tell_losses(contract, registry)
    if output is Format.json:
        emit({"v": 1, "topic": contract.topic, "versions": len(contract.versions)})
    else:
        typer.echo(f"✔ {contract.topic} is in order: {len(contract.versions)} version(s)")


@app.command("apply")
def apply(folder: Folder, registry: Registry = None, output: Output = Format.table) -> None:
    """Put a contract in force: topic, schemas, level. Doing it again changes nothing.

    On standard error it says which recipients lose what, by the live grants.
    """
    from bus.contracts import load_folder

    wanted = load_folder(folder.absolute())
    _tell_losses(wanted, registry)
    contract = asyncio.run(_apply(registry, wanted))
    show_one({"topic": contract.topic, "schema_ids": list(contract.schema_ids)}, output)


def _tell_losses(contract: "Contract", registry: str | None) -> None:
    """Say which recipients lose what by a contract."""
    from bus.cli.impact import losses, rows_of

    for row in rows_of(losses(contract.topic, contract, registry)):
        say(f"! {row['sentence']}")


async def _contracts(registry: str | None, topic: str | None) -> "list[Contract]":
    from bus.schemas import SchemaClient

    settings = client_settings(None, registry)
    async with SchemaClient.of(settings) as schemas:
        topics = [topic] if topic is not None else await schemas.contracts()
        return [await schemas.contract(name) for name in topics]


async def _apply(registry: str | None, contract: "Contract") -> "Contract":
    from bus.schemas import SchemaClient

    settings = client_settings(None, registry)
    async with SchemaClient.of(settings) as schemas:
        return await schemas.put_contract(contract)


def _fields(contract: "Contract") -> list[dict[str, Any]]:
    return [
        {
            "field": field["name"],
            "type": _type(field["type"]),
            "sensitivity": contract.sensitivity.get(field["name"], "-"),
            "meaning": field.get("doc", ""),
        }
        for field in contract.versions[-1]["fields"]
    ]


def _type(value: Any) -> str:
    """Return a type in a word or two; nullable types as the type and a question mark."""
    if isinstance(value, list):
        inner = " or ".join(_type(branch) for branch in value if branch != "null")
        return f"{inner}?" if "null" in value else inner
    if isinstance(value, dict):
        return str(value.get("logicalType") or value.get("name") or value["type"])
    return str(value)
