"""The command line of the traffic view."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.options import Format, Kafka, Output, Registry

if TYPE_CHECKING:
    from bus.settings import Settings
    from consumers.progress import Progress

    KeepView = Callable[[Settings, asyncio.Event, Progress], Awaitable[None]]

GROUP = "de.agency.verkehr.traffic-view"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    group: Annotated[
        str, typer.Option(help="the consumer group, which is also Faust's name of the application")
    ] = GROUP,
    kafka: Kafka = None,
    registry: Registry = None,
    output: Output = Format.table,
) -> None:
    """Keep what was observed of each street segment in each quarter of an hour.

    The view is the compacted topic view.traffic-load. Needs faust-streaming:
    pip install 'stadtbus[views]'.
    """
    from bus.cli.edge import leaving_in_order, run_program
    from bus.cli.options import client_settings
    from consumers.progress import Progress

    with leaving_in_order():
        settings = client_settings(kafka, registry)
        keep_view = _program()
    progress = Progress(group, json=output is Format.json)
    run_program(lambda stop: keep_view(settings, stop, progress))


def _program() -> "KeepView":
    """Return what keeps the view.

    Raises:
        InvalidSettings: Faust is not installed; everything else does without.
    """
    from bus.errors import InvalidSettings

    try:
        from consumers.traffic_view.view import keep_view
    except ModuleNotFoundError as error:
        if error.name != "faust":
            raise
        raise InvalidSettings(
            "the package faust-streaming is not installed",
            where="consumers.traffic_view",
            remedy="install it: pip install 'stadtbus[views]'",
        ) from error
    return keep_view


if __name__ == "__main__":
    app()
