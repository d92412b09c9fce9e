"""Roles composed into one process: started in order, watched, stopped in the reverse order."""

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bus.broker import Broker
from bus.errors import StorageUnusable
from bus.http import files_of
from bus.ops import Ops
from bus.security import (
    ADMIN,
    CertificateWatch,
    Folder,
    in_force,
    own_login,
    refuse_open_listeners,
    watched,
)
from bus.settings import Address, Role, Settings
from bus.startable import Startable
from bus.telemetry import (
    Canaries,
    Records,
    Registrations,
    Requests,
    Rights,
    Routes,
    Storage,
    Subscriptions,
    Telemetry,
    Topics,
    Turns,
)

if TYPE_CHECKING:
    from bus.registry.state import State
    from bus.registry.statements import Statements
    from bus.watch.watch import Watch


class _Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a node says once every role answers: the time it took and where things are.

    ``secured`` tells whether the broker asks who is there; ``opened`` has a sentence for each
    listener that is open to everybody because somebody said so.
    """

    seconds: float
    roles: tuple[Role, ...]
    broker: str
    registry: str | None
    portal: str | None
    ops: str
    secured: bool
    opened: tuple[str, ...]


class Node(Startable):
    """One process that runs one or more roles.

    Args:
        settings: where to listen and where data lies; where the folder ``security`` is there, every
            listener uses it. ``kafka`` is replaced by the way to the embedded broker, as the
            node's own user, where the broker is among the roles.
        roles: what to run.
    """

    def __init__(self, settings: Settings, roles: Sequence[Role]) -> None:
        self._settings, self._roles = settings, tuple(roles)
        self._telemetry = telemetry_of(settings, roles)
        self._running = AsyncExitStack()
        self._ready = False
        self._watch: Watch | None = None
        self._state: State | None = None
        self._statements: Statements | None = None

    async def start(self) -> None:
        """Start every role and return once all of them answer.

        Raises:
            BusError: a role cannot start; the message says which setting or file is at fault.
        """
        try:
            await self._start_all()
        except BaseException:
            await self._running.aclose()
            raise

    async def _start_all(self) -> None:
        self._settings = settings = in_force(self._settings)
        opened = refuse_open_listeners(settings, self._listeners)
        self._ops = ops = Ops(settings, self._telemetry, ready=lambda: self._ready)
        await self._start(ops)
        await self._start(Turns(self._telemetry, "node"))
        self.settings = await self._start_broker()
        registry = await self._start_registry()
        await self._start_router(registry)
        portal = await self._start_portal()
        certificates = watched(settings, self._listeners, Folder(settings.data).ca)
        await self._start(CertificateWatch(certificates, self._telemetry))
        self._ready = True
        self.ready = Ready(
            seconds=round(process_age(), 3),
            roles=self._roles,
            broker=self.settings.kafka.bootstrap,
            registry=registry,
            portal=portal,
            ops=ops.url,
            secured=self.settings.kafka.security_protocol != "PLAINTEXT",
            opened=tuple(opened),
        )

    async def stop(self) -> None:
        """Stop in order: what takes requests first, what they rest on last."""
        self._ready = False
        await self._running.aclose()

    async def failed(self) -> None:
        """Return when a role has stopped by itself, which it does only if it cannot go on.

        Raises:
            BusError: why it stopped.
        """
        if "broker" in self._roles:
            await self._broker.failed.wait()
            raise StorageUnusable(
                "the broker stopped by itself, as its storage failed",
                where=str(self._settings.data / "broker"),
                remedy="see the log for the cause, mend the disk, and start again",
            )
        await asyncio.Event().wait()

    async def _start(self, part: _Part) -> None:
        self._running.push_async_callback(part.stop)
        await part.start()

    async def _start_broker(self) -> Settings:
        if "broker" not in self._roles:
            return self._settings
        settings, login = self._settings, own_login(self._settings)
        self._broker = Broker(
            settings.broker,
            settings.data / "broker",
            self._telemetry,
            users=login.users,
            elsewhere=sum(files_of(getattr(settings, name)) for name in self._others),
        )
        await self._start(self._broker)
        if ADMIN in login.users:
            # From now on the administrator's password is what the broker keeps.
            Folder(settings.data).admin_new.unlink(missing_ok=True)
        address = self._broker.address
        if settings.broker.advertise and (
            settings.broker.certificate_file or address.is_everywhere
        ):
            address = settings.broker.advertise  # the name that the certificate bears
        kafka = login.kafka.model_copy(update={"bootstrap": str(address)})
        return settings.model_copy(update={"kafka": kafka})

    async def _start_registry(self) -> str | None:
        if "registry" not in self._roles:
            return None
        # Loaded here so that a broker alone starts without the clients that the registry needs.
        from bus.registry import Registry
        from bus.watch.expected import expected_intervals
        from bus.watch.watch import Watch

        registry = Registry(self.settings, self._telemetry)
        await self._start(registry)
        self._watch = Watch(
            self.settings.kafka,
            self._telemetry,
            canary=canary_group(self._ops.address) if self.settings.watch.canary else None,
            expected=lambda: expected_intervals(registry.state),
        )
        await self._start(self._watch)
        self._state, self._statements = registry.state, registry.statements
        return registry.url

    async def _start_router(self, registry: str | None) -> None:
        if "router" not in self._roles:
            return
        from bus.router import Router

        settings = self.settings
        if registry is not None:
            # The one of this node; an address that stands for all is none to go to.
            url = registry.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:")
            there = settings.registry.model_copy(update={"url": url})
            settings = settings.model_copy(update={"registry": there})
        await self._start(Router(settings, self._telemetry))

    async def _start_portal(self) -> str | None:
        if "portal" not in self._roles:
            return None
        from bus.portal import Portal
        from bus.watch.watch import Watch

        if self._watch is None:
            self._watch = Watch(self.settings.kafka, self._telemetry)
            await self._start(self._watch)
        portal = Portal(
            self.settings,
            self._telemetry,
            self._watch,
            self._state,
            statements=self._statements,
            roles=self._roles,
        )
        await self._start(portal)
        return portal.url

    @property
    def _listeners(self) -> tuple[str, ...]:
        """What listens of a node: the router does not."""
        return (*(role for role in self._roles if role != "router"), "ops")

    @property
    def _others(self) -> set[str]:
        """The listeners beside the broker's."""
        return {"registry", *self._listeners} - {"broker"}


def telemetry_of(settings: Settings, roles: Sequence[Role]) -> Telemetry:
    """Return the metrics of a node: of what it does, as no measure is something else than 0."""
    telemetry, there = Telemetry(), set(roles)
    if "broker" not in there:
        telemetry.leave_out(Requests, Records, Storage)
    if "registry" not in there:
        telemetry.leave_out(Registrations, Rights)
    if "router" not in there:
        telemetry.leave_out(Routes)
    if "registry" not in there or not settings.watch.canary:
        telemetry.leave_out(Canaries)
    if not there & {"registry", "portal"}:
        telemetry.leave_out(Subscriptions, Topics)
    return telemetry


def canary_group(ops: Address) -> str:
    """Return the group of a node's canary: the same after a restart, another one for each node.

    Args:
        ops: where the node's metrics are; two nodes of one machine differ by it.
    """
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())
    return f"_stadtbus.canary.{host}.{ops.port}"


def process_age() -> float:
    """Return the seconds since this process was started, loading of the interpreter included.

    The kernel tells a process's start in clock ticks since boot (proc(5), field 22 of stat).
    """
    stat = Path("/proc/self/stat").read_text(encoding="utf-8")
    ticks = int(stat.rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
