"""Roles composed into one process: started in order, watched, stopped in the reverse order."""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bus.broker import Broker
from bus.errors import StorageUnusable
from bus.http import HttpListener
from bus.listen import require_loopback
from bus.settings import KafkaSettings, Role, Settings
from bus.telemetry import Telemetry


class _Part(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a node says once every role answers: the time it took and where things are."""

    seconds: float
    roles: tuple[Role, ...]
    broker: str
    registry: str | None
    ops: str


class Node:
    """One process that runs one or more roles.

    Args:
        settings: where to listen and where data lies; ``kafka.bootstrap`` is replaced by the
            embedded broker's own address where the broker is among the roles.
        roles: what to run.
    """

    def __init__(self, settings: Settings, roles: Sequence[Role]) -> None:
        self._settings, self._roles = settings, tuple(roles)
        self._telemetry = Telemetry()
        self._running = AsyncExitStack()
        self._ready = False

    async def __aenter__(self) -> Self:
        """Start; stop again whatever did start if a role fails to."""
        try:
            await self.start()
        except BaseException:
            await self._running.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all roles."""
        await self.stop()

    async def start(self) -> None:
        """Start every role and return once all of them answer.

        Raises:
            BusError: a role cannot start; the message says which setting or file is at fault.
        """
        self._refuse_outside()
        ops = HttpListener(self._ops(), self._settings.ops.listen, setting="ops.listen")
        await self._start(ops)
        self.settings = await self._start_broker()
        registry = await self._start_registry()
        self._ready = True
        self.ready = Ready(
            seconds=round(process_age(), 3),
            roles=self._roles,
            broker=self.settings.kafka.bootstrap,
            registry=registry,
            ops=ops.url,
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

    def _refuse_outside(self) -> None:
        """Refuse every address that others could reach before anything is made."""
        for role in (*self._roles, "ops"):
            require_loopback(getattr(self._settings, role).listen, f"{role}.listen")

    async def _start(self, part: _Part) -> None:
        self._running.push_async_callback(part.stop)
        await part.start()

    async def _start_broker(self) -> Settings:
        if "broker" not in self._roles:
            return self._settings
        data = self._settings.data / "broker"
        self._broker = Broker(self._settings.broker, data, self._telemetry)
        await self._start(self._broker)
        kafka = KafkaSettings(bootstrap=str(self._broker.address))
        return self._settings.model_copy(update={"kafka": kafka})

    async def _start_registry(self) -> str | None:
        if "registry" not in self._roles:
            return None
        # Loaded here so that a broker alone starts without the clients that the registry needs.
        from bus.registry import Registry
        from bus.watch import LagWatch

        registry = Registry(self.settings, self._telemetry)
        await self._start(registry)
        await self._start(LagWatch(self.settings.kafka, self._telemetry))
        return f"http://{registry.address}"

    def _ops(self) -> Starlette:
        async def metrics(_: Request) -> Response:
            return Response(
                self._telemetry.exposition(),
                media_type="text/plain; version=0.0.4; charset=utf-8",
            )

        async def healthy(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        async def ready(_: Request) -> Response:
            if self._ready:
                return PlainTextResponse("ready\n")
            return PlainTextResponse("not ready\n", status_code=503)

        return Starlette(
            routes=[
                Route("/metrics", metrics),
                Route("/healthz", healthy),
                Route("/readyz", ready),
            ]
        )


def process_age() -> float:
    """Return the seconds since this process was started, loading of the interpreter included.

    The kernel tells a process's start in clock ticks since boot (proc(5), field 22 of stat).
    """
    stat = Path("/proc/self/stat").read_text(encoding="utf-8")
    ticks = int(stat.rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
