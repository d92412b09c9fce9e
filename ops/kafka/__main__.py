"""Run Apache Kafka on this machine, in the foreground, until Ctrl-C.

python -m ops.kafka run --brokers 1|3 [--port N] [--data DIR] [--secure] [-o json]
"""

import asyncio
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.edge import emit, leaving_in_order, run_program, say
from bus.cli.options import Format, Output
from bus.errors import BusUnavailable
from bus.settings import variable
from ops.kafka.cluster import Cluster, cluster

WATCH_SECONDS = 0.5
"""How often it is looked whether every broker still runs."""

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)


@app.callback()
def _commands() -> None:
    """Have Typer ask for the command's name even while there is only one."""


@app.command()
def run(
    brokers: Annotated[int, typer.Option(help="1, or 3 that replicate")] = 1,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="of the first broker; 0 takes free ones")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="keep the data here; gone at the end if not given")
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="TLS, SCRAM-SHA-512, nothing allowed by default")
    ] = False,
    output: Output = Format.table,
) -> None:
    """Run one or three brokers until Ctrl-C."""
    with ExitStack() as folders:
        folder = data or Path(folders.enter_context(tempfile.TemporaryDirectory()))
        run_program(lambda stop: _run(folder.absolute(), brokers, port, secure, output, stop))


async def _run(
    folder: Path, brokers: int, port: int, secure: bool, output: Format, stop: asyncio.Event
) -> None:
    """Serve until somebody asks to stop, also while the brokers are still starting."""
    serving = asyncio.create_task(_serve(folder, brokers, port, secure, output))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    else:
        serving.result()


async def _serve(folder: Path, brokers: int, port: int, secure: bool, output: Format) -> None:
    begun = time.monotonic()
    async with cluster(folder, brokers=brokers, port=port, secure=secure) as running:
        _announce(running, time.monotonic() - begun, output)
        ended: set[int] = set()
        while len(ended) < brokers:
            await asyncio.sleep(WATCH_SECONDS)
            for broker in running.brokers:
                if broker.id not in ended and not broker.alive:
                    ended.add(broker.id)
                    say(f"! broker {broker.id} ended: {broker.last_words}")
        raise BusUnavailable("every broker has ended", where=running.bootstrap)


def _announce(running: Cluster, seconds: float, output: Format) -> None:
    """Say on one line that every broker answers, and where."""
    user = running.settings
    if output is Format.json:
        emit(
            {
                "ready": True,
                "seconds": round(seconds, 3),
                "bootstrap": running.bootstrap,
                "brokers": [{"id": one.id, "pid": one.pid} for one in running.brokers],
                "security_protocol": user.security_protocol,
                "username": user.username,
                "password_file": user.password_file and str(user.password_file),
                "ca_file": user.ca_file and str(user.ca_file),
            }
        )
        return
    typer.echo(f"Ready in {seconds:.1f} s: {running.bootstrap}")
    if user.username:
        for name in ("security_protocol", "username", "password_file", "ca_file"):
            say(f"      export {variable(f'kafka.{name}')}={getattr(user, name)}")
    say("Ctrl-C stops.")


if __name__ == "__main__":
    with leaving_in_order():
        app()
