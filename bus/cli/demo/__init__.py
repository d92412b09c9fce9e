"""`stadtbus demo`: three cities, three agencies, a breaking schema and two malformed events."""

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.edge import run_program
from bus.cli.options import Format, Output


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="SECONDS",
            min=1,
            help="publish for so long, let every subscriber read to the end, and stop",
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            min=1, max=5000, help="addresses and counts a second; traffic has its own pace"
        ),
    ] = 26,
    seed: Annotated[
        int | None,
        typer.Option(help="settles which addresses come when [default: 1]", show_default=False),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="begin anew in the demo's folder")] = False,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="the demo's folder")] = Path(
        "stadtbus-demo"
    ),
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,…",
            help="an Apache Kafka cluster to use instead of the embedded broker",
            show_default=False,
        ),
    ] = None,
    output: Output = Format.table,
) -> None:
    """Show events flow from three cities through the bus to three agencies.

    Everything runs on this machine, each program as a process of its own. It listens where the
    settings say (STADTBUS_PORTAL__LISTEN), else on the usual port or the next free one. With --for
    it exits with 0 only if every acknowledged event reached each of its subscribers.
    """
    from bus.cli.demo.show import Options, run

    options = Options(
        seconds=seconds,
        rate=rate,
        seed=seed,
        reset=reset,
        data=data,
        kafka=kafka,
        json=output is Format.json,
    )
    run_program(lambda stop: run(options, stop))
