"""Options that every producer has."""

from typing import Annotated

import typer

Rate = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        metavar="EVENTS/S",
        help="publish so many events a second [default: as fast as receipts come]",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="stop after so many events; the next run goes on from there [default: all]",
        show_default=False,
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="SECONDS", help="how long to wait for a bus that went away meanwhile"
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0.0, metavar="SECONDS", help="how long to wait at the start for a bus to be there"
    ),
]
