"""What tests of programs stand on: a bus on free ports, and programs as processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bus.avro.codec import Codec
from bus.event import read_envelope, unframe
from bus.kafka import LogReader
from bus.registry import Registry
from bus.schemas import SchemaClient
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from tests.engine import Switch

DEADLINE = 60.0
"""Seconds that a program has for anything that a test waits for."""


@dataclass(slots=True)
class Bus:
    """An engine, and a registry in this process with the shipped contracts in force.

    The addresses stay the same when the bus is stopped and started again.
    """

    settings: Settings
    _switch: Switch
    _registry: Registry | None = None

    async def start(self) -> None:
        """Start, on the data that is there."""
        await self._switch.on()
        await self.open()

    async def open(self) -> None:
        """Start the registry alone."""
        self._registry = Registry(self.settings, Telemetry())
        await self._registry.start()
        address = self._registry.address
        registry = RegistrySettings(listen=address, url=f"http://{address}")
        self.settings = self.settings.model_copy(update={"registry": registry})

    async def stop(self) -> None:
        """Stop both; what was acknowledged stays in the data."""
        await self.close()
        await self._switch.off()

    async def close(self) -> None:
        """Stop the registry alone."""
        if self._registry is not None:
            await self._registry.stop()
        self._registry = None

    @property
    def environment(self) -> Mapping[str, str]:
        """How a program finds this bus."""
        return {
            "STADTBUS_KAFKA__BOOTSTRAP": self.settings.kafka.bootstrap,
            "STADTBUS_REGISTRY__URL": self.settings.registry.url,
        }


@pytest.fixture
async def bus(bare: KafkaSettings, switch: Switch) -> AsyncIterator[Bus]:
    """A bus on free ports."""
    free = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    running = Bus(Settings(kafka=bare, registry=free), switch)
    await running.open()
    yield running
    await running.close()


@dataclass(slots=True)
class Program:
    """A running program: what it has said so far, and how it ended."""

    process: asyncio.subprocess.Process
    reports: list[dict[str, Any]] = field(default_factory=list)
    talk: str = ""

    def ids(self, event: str) -> list[str]:
        """Return the ids of all reports of a kind, in order."""
        return [id_ for report in self.reports if report["event"] == event for id_ in report["ids"]]

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Read reports until the condition holds.

        Raises:
            AssertionError: the program ended before that.
            TimeoutError: it took too long.
        """
        async with asyncio.timeout(DEADLINE):
            while not condition(self.reports):
                assert await self._report(), f"it ended before that: {await self._ended()}"

    async def ended(self) -> int:
        """Read to the end and return the exit code."""
        async with asyncio.timeout(DEADLINE):
            while await self._report():
                pass
            return await self._ended()

    async def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.terminate()
        return await self.ended()

    async def kill(self) -> None:
        """End it without a chance to do anything, as ``kill -9`` does."""
        self.process.kill()
        await self.process.wait()

    async def _report(self) -> bool:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if line:
            self.reports.append(json.loads(line))
        return bool(line)

    async def _ended(self) -> int:
        assert self.process.stderr is not None
        self.talk += (await self.process.stderr.read()).decode()
        return await self.process.wait()


@asynccontextmanager
async def program(
    module: str, arguments: Sequence[object], environment: Mapping[str, str], directory: Path
) -> AsyncIterator[Program]:
    """Run ``python -m module … -o json`` in a directory, and end it with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *map(str, arguments), "-o", "json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**24,
        env={**_inherited(), **environment}, cwd=directory,
    )  # fmt: skip
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        # Read to the end, or the pipes' transports outlive the loop.
        await process.communicate()


async def run(
    module: str, arguments: Sequence[object], environment: Mapping[str, str], directory: Path
) -> Program:
    """Run a program to its end."""
    async with program(module, arguments, environment, directory) as running:
        await running.ended()
        return running


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("STADTBUS_")}


async def events(bus: Bus, topic: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the id and data of every event on a topic, each partition in order."""
    async with SchemaClient(bus.settings.registry.url) as schemas:
        contract = await schemas.contract(topic)
    codecs = dict(zip(contract.schema_ids, map(Codec, contract.versions), strict=True))
    found = []
    async with LogReader(bus.settings.kafka) as reader:
        for partition, (first, end) in (await reader.bounds(topic)).items():
            offset = first
            while offset < end:
                for record in await reader.read(topic, partition, offset):
                    schema_id, body = unframe(record.value or b"")
                    envelope = read_envelope(topic, record.headers)
                    found.append((envelope.id, codecs[schema_id].decode(body)))
                    offset = record.offset + 1
    return found


def ended(app: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    """Run a program's command line in this process, and return its exit code."""
    with pytest.raises(SystemExit) as left:
        app(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run a program in, and a bus that is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STADTBUS_KAFKA__BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("STADTBUS_REGISTRY__URL", "http://127.0.0.1:1")
    return tmp_path
