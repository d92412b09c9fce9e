"""Options that every consumer has."""

from typing import Annotated

import typer

Database = Annotated[
    str,
    typer.Option(metavar="URL", help="where to keep it: an SQLAlchemy URL"),
]

Promise = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        metavar="SECONDS",
        help="how far behind it will be at the most: the page and the alarms hold it to that",
    ),
]
