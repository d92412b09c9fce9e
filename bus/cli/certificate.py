"""`stadtbus certificate`: what a secured node shows to clients, and until when."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import say
from bus.cli.options import Data, Format, Output
from bus.cli.output import show
from bus.errors import NotFound

if TYPE_CHECKING:
    from bus.security import Folder

app = typer.Typer(help="Certificates that --init-security made.", no_args_is_help=True)


@app.command("ls")
def ls(data: Data = None, output: Output = Format.table) -> None:
    """List the certificates of this machine's node, the names on them, and the days left."""
    folder = _folder(data)
    rows = [_row(file) for file in (folder.certificate, folder.ca)]
    show("certificates", rows, ("file", "days_left", "expires", "names"), output)


@app.command("renew")
def renew(
    data: Data = None,
    hostname: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="a further name that clients reach the node by"),
    ] = None,
) -> None:
    """Renew the node's certificate if fewer than 30 days are left, or a name is missing.

    A running node shows the new one to whoever connects next. The authority's key has to be there.
    Made for being called daily.
    """
    from bus.security.making import initialise
    from bus.settings import load

    _folder(data)
    for sentence in initialise(load({"data": data}), hostname or []):
        say(sentence)


def _folder(data: Path | None) -> "Folder":
    """Return the folder of a secured node.

    Raises:
        NotFound: the node was never secured.
    """
    from bus.security import Folder
    from bus.settings import load

    folder = Folder(load({"data": data}).data)
    if not folder.exists:
        raise NotFound(
            "there is no such folder, so there are no certificates",
            where=str(folder.root),
            remedy="`stadtbus serve --init-security` makes it; --data names the node's folder",
        )
    return folder


def _row(file: Path) -> dict[str, Any]:
    from bus.security.certificates import expiry, names

    end = expiry(file)
    return {
        "file": str(file),
        "days_left": (end - datetime.now(UTC)).days,
        "expires": end.isoformat(),
        "names": sorted(names(file.read_bytes())),
    }
