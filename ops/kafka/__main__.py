"""Run Apache Kafka on this machine, in the foreground, until Ctrl-C.

python -m ops.kafka run --brokers 1|3 [--port N] [--data DIR] [--secure] [-o json]
"""

import asyncio
import shlex
import time
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.edge import emit, leaving_in_order, run_program, say, unless_stopped
from bus.cli.options import Format, Output
from bus.errors import BusUnavailable
from bus.settings import variable
from ops.kafka.child import passing_folder
from ops.kafka.cluster import Cluster, cluster
from ops.kafka.demo import run_demo

WATCH_SECONDS = 0.5
"""How often it is looked whether every broker still runs."""

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, help=__doc__
)


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
        folder = data or folders.enter_context(passing_folder())
        starting = cluster(folder.absolute(), brokers=brokers, port=port, secure=secure)

        async def main(stop: asyncio.Event) -> None:
            await unless_stopped(_serve(starting, output), stop)

        run_program(main)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def demo(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="the folder of the broker and the demo")] = Path(
        "stadtbus-demo-kafka"
    ),
    reset: Annotated[bool, typer.Option("--reset", help="begin anew")] = False,
) -> None:
    """Run `stadtbus demo` on one broker; further arguments are the demo's."""
    run_program(lambda stop: run_demo(data.absolute(), context.args, stop, reset=reset))


async def _serve(starting: AbstractAsyncContextManager[Cluster], output: Format) -> None:
    begun = time.monotonic()
    async with starting as running:
        _announce(running, time.monotonic() - begun, output)
        ended: set[int] = set()
        while len(ended) < len(running.brokers):
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
            value = shlex.quote(str(getattr(user, name)))
            say(f"      export {variable(f'kafka.{name}')}={value}")
    say("Ctrl-C stops.")


if __name__ == "__main__":
    with leaving_in_order():
        app()
