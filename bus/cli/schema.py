"""`stadtbus schema`: what the registry holds, and whether a change would break somebody."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Output, Registry, client_settings
from bus.cli.output import show, show_one
from bus.errors import InvalidInput

if TYPE_CHECKING:
    from bus.schemas import SchemaClient

app = typer.Typer(
    help="What the registry holds, and whether a change would break somebody.",
    no_args_is_help=True,
)

Subject = Annotated[str, typer.Argument(help="the subject, such as sensor.reading.v1-value")]
File = Annotated[Path, typer.Argument(help="a file with an Avro schema (JSON)")]

NO = 3
"""The exit code of a question that was answered with no."""


@app.command("ls")
def ls(registry: Registry = None, output: Output = Format.table) -> None:
    """List the subjects with their versions and compatibility levels."""

    async def read(schemas: "SchemaClient") -> list[dict[str, Any]]:
        return [
            {
                "subject": subject,
                "versions": await schemas.versions(subject),
                "level": await schemas.level(subject),
            }
            for subject in await schemas.subjects()
        ]

    show("subjects", _ask(registry, read), ("subject", "versions", "level"), output)


@app.command("show")
def show_schema(
    subject: Subject,
    version: Annotated[str, typer.Option(help="a number, or latest")] = "latest",
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Show a schema's text; as JSON also its id and version."""
    import json

    found = _ask(registry, lambda schemas: schemas.version(subject, version))
    if output is Format.json:
        show_one(found, output)
    else:
        typer.echo(json.dumps(json.loads(found["schema"]), indent=2, ensure_ascii=False))


@app.command("check")
def check(
    subject: Subject, file: File, registry: Registry = None, output: Output = Format.table
) -> None:
    """Say whether a schema may follow the registered ones; exit with 3 if it may not.

    On standard error it says which recipients would lose what, by the live grants.
    """
    schema = _schema(file)
    problems, impact = _ask(registry, lambda schemas: schemas.check(subject, schema))
    for sentence in impact:
        say(f"! {sentence}")
    if output is Format.json:
        found = {"compatible": not problems, "problems": problems, "impact": impact}
        emit({"v": 1, "subject": subject, **found})
    elif problems:
        for problem in problems:
            typer.echo(f"✘ {problem}")
    else:
        typer.echo(f"✔ {subject}: nobody would be broken")
    if problems:
        raise typer.Exit(NO)


@app.command("register")
def register(
    subject: Subject, file: File, registry: Registry = None, output: Output = Format.table
) -> None:
    """Register a schema and show its id; one that would break somebody is refused."""
    schema = _schema(file)
    schema_id = _ask(registry, lambda schemas: schemas.register(subject, schema))
    show_one({"subject": subject, "id": schema_id}, output)
    say("publishers use it as soon as they are told to")


def _ask(registry: str | None, question: "Callable[[SchemaClient], Awaitable[Any]]") -> Any:
    from bus.schemas import SchemaClient

    settings = client_settings(None, registry)

    async def ask() -> Any:
        async with SchemaClient.of(settings) as schemas:
            return await question(schemas)

    return asyncio.run(ask())


def _schema(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(file)) from error
