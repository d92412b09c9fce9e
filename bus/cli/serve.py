"""`stadtbus serve`: one node."""

import asyncio
import gc
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.edge import emit, run_program, say
from bus.cli.options import Data, Format, Output
from bus.errors import InvalidSettings, nearest

if TYPE_CHECKING:
    from bus.node import Ready
    from bus.settings import Role, Settings


Roles = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE,…",
        help="what to run: broker, registry, router, portal [default: broker,registry,portal]",
        show_default=False,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT,…",
        help="an Apache Kafka cluster to use instead of the embedded broker",
        show_default=False,
    ),
]
BrokerListen = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="[default: 127.0.0.1:9092; port 0 takes a free one]"),
]
BrokerAdvertise = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="the address that clients are told to connect to"),
]
RegistryListen = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="[default: 127.0.0.1:8081]")
]
PortalListen = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="the page for browsers [default: 127.0.0.1:8080]"),
]
OpsListen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="/metrics, /healthz and /readyz [default: 127.0.0.1:9464]"
    ),
]
InitSecurity = Annotated[
    bool,
    typer.Option(
        "--init-security",
        help="make an authority, certificates and the first administrator in DIR/security, or "
        "renew the certificate; then serve",
    ),
]
Hostname = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="with --init-security: a further name that clients reach it by"
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure", help="let other machines in without TLS and login: anybody may do all"
    ),
]


def serve(
    roles: Roles = None,
    data: Data = None,
    kafka: Cluster = None,
    broker_listen: BrokerListen = None,
    broker_advertise: BrokerAdvertise = None,
    registry_listen: RegistryListen = None,
    portal_listen: PortalListen = None,
    ops_listen: OpsListen = None,
    init_security: InitSecurity = False,
    hostname: Hostname = None,
    insecure: Insecure = False,
    output: Output = Format.table,
) -> None:
    """Run a node: by default the embedded broker, the schema registry and the portal.

    Once every role answers, one line on standard output says so. SIGTERM and Ctrl-C stop it in
    order; what was acknowledged is on disk. Other machines are let in only with TLS and a login:
    --init-security makes what that needs, and from then on the node uses it.
    """
    from bus.settings import load

    opened = True if insecure else None
    settings = load(
        {
            "data": data,
            "kafka.bootstrap": kafka,
            "broker.listen": broker_listen,
            "broker.advertise": broker_advertise,
            "registry.listen": registry_listen,
            "portal.listen": portal_listen,
            "ops.listen": ops_listen,
            "broker.insecure": opened,
            "registry.insecure": opened,
            "portal.insecure": opened,
            "ops.insecure": opened,
        }
    )
    chosen = chosen_roles(roles, external=kafka is not None)
    _secure(settings, chosen, hostname or [], asked=init_security)
    run_program(lambda stop: _serve(settings, chosen, output, stop))


def chosen_roles(given: str | None, *, external: bool) -> "tuple[Role, ...]":
    """Return the roles to run.

    Args:
        given: comma separated, or None for those of a node that does not route.
        external: an Apache Kafka cluster takes the embedded broker's place.

    Raises:
        InvalidSettings: a role is unknown, or the broker is asked for beside a cluster.
    """
    from bus.settings import DEFAULT_ROLES, ROLES

    if given is None:
        return tuple(role for role in DEFAULT_ROLES if not (external and role == "broker"))
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


def _secure(
    settings: "Settings", roles: "tuple[Role, ...]", hostnames: list[str], *, asked: bool
) -> None:
    """Make what a secured node needs, if that was asked for."""
    if not asked and hostnames:
        raise InvalidSettings(
            "names are for the certificate that --init-security makes",
            where="--hostname",
            remedy="add --init-security",
        )
    if not asked:
        return
    if "broker" not in roles:
        raise InvalidSettings(
            "users and certificates of a cluster are made with its own tools",
            where="--init-security",
            remedy="leave it out, or run the embedded broker",
        )
    from bus.security.making import initialise

    for sentence in initialise(settings, hostnames):
        say(sentence)
    if "portal" in roles:
        from bus.portal.security.making import first_administrator

        for sentence in first_administrator(settings):
            say(sentence)


async def _serve(
    settings: "Settings", roles: "tuple[Role, ...]", output: Format, stop: asyncio.Event
) -> None:
    from bus.node import Node
    from bus.telemetry import configure_logging

    configure_logging()
    gc.disable()
    async with Node(settings, roles) as node:
        _keep_what_is_there()
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


def _keep_what_is_there() -> None:
    """Spare the garbage collector what lives as long as the process.

    That is 67,000 objects and more: modules, messages' classes, what is stored. Looking through all
    of them held the event loop for 50 to 90 ms, ten times in 30,000 pipelined requests; nothing
    else held it for as long. A larger first generation makes it worse: one of 50,000 objects takes
    26 ms, one of 700 a third of a millisecond.
    """
    gc.freeze()
    gc.enable()


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
                "portal": ready.portal,
                "ops": ready.ops,
                "secured": ready.secured,
            }
        )
        _warn(ready)
        return
    places = [f"broker {ready.broker}"]
    if ready.registry:
        places.append(f"registry {ready.registry}")
    if ready.portal:
        places.append(f"portal {ready.portal}")
    places.append(f"ops {ready.ops}")
    typer.echo(f"Ready in {ready.seconds:.1f} s: {', '.join(places)}")
    _warn(ready)
    if "broker" in ready.roles and not ready.secured and not ready.opened:
        say("Nobody is asked to log in: every program on this machine can read and write.")
    say("Ctrl-C stops.")


def _warn(ready: "Ready") -> None:
    for sentence in ready.opened:
        say(f"! INSECURE: {sentence}")
