"""Options that several commands share, and the settings that they make."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bus.settings import Settings


class Format(StrEnum):
    """How a command writes its data to standard output."""

    table = "table"
    json = "json"


Output = Annotated[Format, typer.Option("-o", "--output", help="table or json")]
Kafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        metavar="HOST:PORT,…",
        help="the engine's addresses [default: kafka.bootstrap, 127.0.0.1:9092]",
        show_default=False,
    ),
]
Registry = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="URL",
        help="the registry's address [default: registry.url, http://127.0.0.1:8081]",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="the folder that holds what the node keeps [default: data, stadtbus-data]",
        show_default=False,
    ),
]


def client_settings(kafka: str | None, registry: str | None) -> "Settings":
    """Return the settings of a command that talks to a running bus.

    Raises:
        InvalidSettings: a name is unknown or a value cannot be used.
    """
    from bus.settings import load

    return load({"kafka.bootstrap": kafka, "registry.url": registry})


def say_what_may_be_hidden(settings: "Settings", kind: str) -> None:
    """Say, where there is nothing to show, that an engine hides what its user may not see.

    Args:
        settings: who asks, and where.
        kind: what was asked for, ``topic`` or ``group``.
    """
    from bus.cli.edge import say

    if user := settings.kafka.username:
        place = settings.kafka.bootstrap
        say(f"! {place}: there is no {kind}, or none that the user {user} may see")
        say(f"  Next: {see_more(user, kind)}")


def see_more(user: str, kind: str) -> str:
    """Return what to do where a user sees no topic, or no group."""
    return (
        f"if there should be one, have the cluster's administrator grant Describe on the {kind}s "
        f"to {user}; docs/kafka.md lists who needs which rights"
    )
