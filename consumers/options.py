"""Options that every consumer has."""

from typing import Annotated

import typer

Database = Annotated[
    str,
    typer.Option(metavar="URL", help="where to keep it: an SQLAlchemy URL"),
]
