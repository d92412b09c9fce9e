"""`stadtbus serve`: one node."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.edge import emit, run_program, say
from bus.cli.options import Data, Format, Output
from bus.errors import InvalidSettings, nearest

if TYPE_CHECKING:
    from bus.node import Ready
    from bus.settings import Role, Settings


def serve(
    roles: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE,…", help="what to run [default: broker,registry]", show_default=False
        ),
    ] = None,
    data: Data = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT,…",
            help="an Apache Kafka cluster to use instead of the embedded broker",
            show_default=False,
        ),
    ] = None,
    broker_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="[default: 127.0.0.1:9092; port 0 takes a free one]"
        ),
    ] = None,
    broker_advertise: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="the address that clients are told to connect to"),
    ] = None,
    registry_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="[default: 127.0.0.1:8081]")
    ] = None,
    ops_listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="/metrics, /healthz and /readyz [default: 127.0.0.1:9464]",
        ),
    ] = None,
    output: Output = Format.table,
) -> None:
    """Run a node: by default the embedded broker and the schema registry.

    Once every role answers, one line on standard output says so. SIGTERM and Ctrl-C stop it in
    order; what was acknowledged is on disk.
    """
    from bus.settings import load

    settings = load(
        {
            "data": data,
            "kafka.bootstrap": kafka,
            "broker.listen": broker_listen,
            "broker.advertise": broker_advertise,
            "registry.listen": registry_listen,
            "ops.listen": ops_listen,
        }
    )
    chosen = chosen_roles(roles, external=kafka is not None)
    run_program(lambda stop: _serve(settings, chosen, output, stop))


def chosen_roles(given: str | None, *, external: bool) -> "tuple[Role, ...]":
    """Return the roles to run.

    Args:
        given: comma separated, or None for all that exist.
        external: an Apache Kafka cluster takes the embedded broker's place.

    Raises:
        InvalidSettings: a role is unknown, or the broker is asked for beside a cluster.
    """
    from bus.settings import ROLES

    if given is None:
        return tuple(role for role in ROLES if not (external and role == "broker"))
    asked = [role.strip() for role in given.split(",")]
    for role in asked:
        if role not in ROLES:
            raise InvalidSettings(
                f'there is no role "{role}"', where="--roles", remedy=nearest(role, ROLES)
            )
    if external and "broker" in asked:
        raise InvalidSettings(
            "the embedded broker and a Kafka cluster exclude each other",
            where="--roles, --kafka",
            remedy="leave out one of them",
        )
    return tuple(role for role in ROLES if role in asked)


async def _serve(
    settings: "Settings", roles: "tuple[Role, ...]", output: Format, stop: asyncio.Event
) -> None:
    from bus.node import Node
    from bus.telemetry import configure_logging

    configure_logging()
    async with Node(settings, roles) as node:
        announce(node.ready, output)
        stopping = asyncio.create_task(stop.wait())
        failing = asyncio.create_task(node.failed())
        try:
            await asyncio.wait({stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                failing.result()
        finally:
            stopping.cancel()
            failing.cancel()


def announce(ready: "Ready", output: Format) -> None:
    """Say on one line that every role answers, and where."""
    if output is Format.json:
        emit(
            {
                "ready": True,
                "seconds": ready.seconds,
                "roles": ready.roles,
                "broker": ready.broker,
                "registry": ready.registry,
                "ops": ready.ops,
            }
        )
        return
    places = [f"broker {ready.broker}"]
    if ready.registry:
        places.append(f"registry {ready.registry}")
    places.append(f"ops {ready.ops}")
    typer.echo(f"Ready in {ready.seconds:.1f} s: {', '.join(places)}")
    if "broker" in ready.roles:
        say("There is no login yet: every program on this machine can read and write.")
    say("Ctrl-C stops.")
