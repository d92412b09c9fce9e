"""`stadtbus broker`: the embedded broker's store, checked, copied and put back."""

import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Data, Format, Output
from bus.cli.output import show, show_one

if TYPE_CHECKING:
    from bus.broker.backup import Copied
    from bus.broker.check import Report
    from bus.settings import Settings

NO = 3
"""The exit code of a store that is damaged."""

MOST_SHOWN = 50

MOST_UNPACKED = 2**28
"""Bytes that a stored batch may unpack to: it may have been taken while the setting was another."""

app = typer.Typer(no_args_is_help=True)


@app.callback()
def broker() -> None:
    """The embedded broker's store: check it, back it up, put a backup back."""
    # As Ctrl-C does, so that a half made copy is not left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@app.command("check")
def check(
    data: Data = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="a backup to check instead"),
    ] = None,
    output: Output = Format.table,
) -> None:
    """Check every batch, offset, index and reference of a store; nothing is changed.

    The exit code is 3 if anything is damaged, and each damage is named by topic, partition, offset
    and row. Beside a running broker all is checked but SQLite's own structure, which would hold its
    write-ahead log for too long: stop it, or check a backup.
    """
    from bus.broker.check import check as examine

    settings = _settings(data)
    path = file or database(settings)
    with _Progress("checked") as progress:
        report = examine(path, max_unpacked=MOST_UNPACKED, progress=progress.tell)
    _show_report(path, report, output)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the copy to be made")],
    data: Data = None,
    force: Annotated[bool, typer.Option("--force", help="replace a file that is there")] = False,
    output: Output = Format.table,
) -> None:
    """Copy the store while the broker runs: all that was committed at one moment, and no more.

    The copy is checked and synced before it gets its name. What was deleted is not in it. It holds
    all events and the users' credentials: keep it as you keep the store itself. The exit code is 3
    if the store is damaged; the copy is made all the same.
    """
    from bus.broker.backup import SPARE_BYTES
    from bus.broker.backup import backup as copy

    settings = _settings(data)
    with _Progress("copied") as progress:
        made = copy(
            database(settings),
            file,
            force=force,
            # Or the copy would stop those who publish, where both are on one disk.
            spare=max(settings.broker.min_free_bytes, SPARE_BYTES),
            progress=progress.tell,
        )
    _show_copy(file, made, output)


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a backup")],
    data: Data = None,
    force: Annotated[
        bool, typer.Option("--force", help="replace the store that is there, which is kept aside")
    ] = False,
    accept_damage: Annotated[
        bool, typer.Option("--accept-damage", help="restore a backup that is damaged, too")
    ] = False,
    output: Output = Format.table,
) -> None:
    """Put a backup in the place of a stopped broker's store, once it was checked as a whole.

    What was acknowledged after the backup is gone: docs/operation.md says what that means for those
    who publish and subscribe.
    """
    from bus.broker.backup import restore as put_back

    settings = _settings(data)
    with _Progress("restored") as progress:
        made = put_back(
            file,
            database(settings).parent,
            max_unpacked=MOST_UNPACKED,
            force=force,
            damaged=accept_damage,
            progress=progress.tell,
        )
    _show_copy(database(settings), made, output)


def database(settings: "Settings") -> Path:
    """Return the path of the broker's database."""
    from bus.broker.storage.database import NAME

    return settings.data / "broker" / NAME


def _settings(data: Path | None) -> "Settings":
    from bus.settings import load

    return load({"data": data})


def _show_copy(file: Path, made: "Copied", output: Format) -> None:
    row: dict[str, Any] = {
        "file": str(file),
        "size_bytes": made.size_bytes,
        "topics": made.topics,
        "records": made.report.records,
        "seconds": round(made.seconds, 3),
        "damages": made.report.damages,
    }
    if made.replaced is not None:
        row["replaced"] = str(made.replaced)
    if output is Format.json:
        row["damage"] = [asdict_of(damage) for damage in made.report.damage]
    show_one(row, output)
    if made.report.damages:
        if output is Format.table:
            _show_damage(made.report)
        raise typer.Exit(NO)


def _show_report(path: Path, report: "Report", output: Format) -> None:
    row = {name: value for name, value in asdict(report).items() if name != "damage"}
    row["seconds"] = round(report.seconds, 3)
    if output is Format.json:
        emit(
            {
                "v": 1,
                "database": str(path),
                **row,
                "damage": [asdict_of(damage) for damage in report.damage],
            }
        )
    else:
        row["structure"] = "checked" if report.structure else "not checked: the broker runs"
        show_one({"database": str(path), **row}, output)
        _show_damage(report)
    if report.damages:
        raise typer.Exit(NO)


def _show_damage(report: "Report") -> None:
    if not report.damages:
        return
    shown = [asdict_of(damage) for damage in report.damage[:MOST_SHOWN]]
    show("damage", shown, ("topic", "partition", "offset", "row", "what"), Format.table)
    if report.damages > MOST_SHOWN:
        say(f"! {report.damages - MOST_SHOWN} more; -o json names up to a thousand")
    say("  Next: docs/operation.md says what to do about damage")


def asdict_of(damage: Any) -> dict[str, Any]:
    """Return a damage as a row; what does not apply is None."""
    return {name: None if value in ("", -1) else value for name, value in damage._asdict().items()}


class _Progress:
    """Says how far a long job is: on one line of a terminal, or a line every ten seconds."""

    def __init__(self, done: str) -> None:
        self._done = done
        self._terminal = sys.stderr.isatty()
        self._every = 0.2 if self._terminal else 10.0
        self._last = time.monotonic()
        self._written = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._written:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def tell(self, what: str, size: int, whole: int) -> None:
        """Say so if it is time."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        percent = min(100 * size // max(whole, 1), 100)
        line = f"{self._done} {size / 1e9:.1f} of {whole / 1e9:.1f} GB ({percent} %), now {what}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            self._written = True
        else:
            say(line)
