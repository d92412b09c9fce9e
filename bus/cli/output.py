"""Data on standard output, as a table for people or as JSON for programs."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bus.cli.edge import emit
from bus.cli.options import Format

Row = Mapping[str, Any]

WIDEST = 10_000
"""Columns of a table that no terminal shows."""


def show(name: str, rows: Sequence[Row], columns: Sequence[str], output: Format) -> None:
    """Write rows: a table of the named columns, or one JSON document that has all of them.

    Args:
        name: what the rows are, the key of the JSON document.
        rows: one mapping for each row.
        columns: the keys that the table shows, in order.
        output: table or JSON.
    """
    if output is Format.json:
        emit({"v": 1, name: rows})
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = bool(rows) and all(isinstance(r.get(column), int | float | None) for r in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    _console().print(table)


def show_one(row: Row, output: Format) -> None:
    """Write one thing: its fields a line each, or as one JSON document."""
    if output is Format.json:
        emit({"v": 1, **row})
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for field, value in row.items():
        table.add_row(field.replace("_", " "), _cell(value))
    _console().print(table)


def printable(text: str) -> str:
    """Return what strangers wrote so that it is text on a terminal, and nothing else."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


def _console() -> Any:
    from rich.console import Console

    # A terminal's lines end somewhere; what is piped is not cut.
    width = None if sys.stdout.isatty() else WIDEST
    return Console(highlight=False, markup=False, soft_wrap=True, width=width)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1f}"
        case list() | tuple():
            return ", ".join(_cell(item) for item in value)
        case dict():
            return "\n".join(f"{key} = {_cell(item)}" for key, item in value.items())
        case _:
            return printable(str(value))
