"""One or three Kafka brokers on loopback: formatted, started, waited for, stopped."""

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bus.admin import Admin
from bus.errors import BusUnavailable, NotAuthenticated
from bus.settings import KafkaSettings
from ops.kafka.child import output, passing_folder
from ops.kafka.folder import (
    claimed,
    formatted,
    known,
    local,
    new_password,
    places,
    prepared,
    refuse_count,
    security,
    settings,
)
from ops.kafka.installation import Installation, installed
from ops.kafka.process import LOGGING_FILE, KafkaBroker
from ops.kafka.properties import client_properties, text

READY_SECONDS = 120.0
"""How long brokers may take until all of them answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that runs.

    Args:
        brokers: its processes.
        settings: how its administrator reaches it.
    """

    brokers: tuple[KafkaBroker, ...]
    settings: KafkaSettings
    folder: Path
    installation: Installation

    @property
    def bootstrap(self) -> str:
        """All addresses, as clients want them."""
        return self.settings.bootstrap

    @property
    def ca_file(self) -> Path | None:
        """The certificate that the brokers' lead to, where the cluster is secure."""
        return self.settings.ca_file

    def java(self, main_class: str, *arguments: object) -> list[str]:
        """Return the command line of one of Kafka's own tools."""
        return self.installation.tool(main_class, *arguments, logging=self.folder / LOGGING_FILE)

    async def ready(self) -> None:
        """Return once every broker that runs answers and knows all the others that run.

        Raises:
            BusUnavailable: one ended, or they took too long.
        """
        running = [broker for broker in self.brokers if broker.alive]
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(
                    *(self._answers(one, self.settings, len(running)) for one in running)
                )
        except TimeoutError as error:
            said = "; ".join(f"broker {one.id}: {one.last_words}" for one in running)
            raise BusUnavailable(
                f"not ready after {READY_SECONDS:g} s: {said}",
                where=self.bootstrap,
                remedy=f"see the logs in {self.folder}",
            ) from error

    def client_properties(self, user: KafkaSettings) -> Path:
        """Write a file for Kafka's own tools to reach the cluster as a user; return its path."""
        file = self.folder / f"{user.username or 'client'}.properties"
        file.touch(mode=0o600)
        file.write_text(text(client_properties(user)), encoding="utf-8")
        return file

    async def controller(self, *, without: Collection[int] = ()) -> int:
        """Return the number of the broker that leads the controllers' quorum.

        Args:
            without: brokers that are held, and so shall not be asked.

        Raises:
            BusUnavailable: nobody leads just now.
        """
        asked = [one for one in self.brokers if one.alive and one.id not in without]
        _, said = await output(
            self.java(
                "org.apache.kafka.tools.MetadataQuorumCommand",
                "--bootstrap-server", ",".join(str(one.address) for one in asked),
                "--command-config", self.client_properties(self.settings),
                "describe", "--status",
            )
        )  # fmt: skip
        leader = re.search(r"LeaderId:\s+(\d+)", said)
        if leader is None:
            raise BusUnavailable(f"nobody leads: {said.strip()[-300:]}", where=self.bootstrap)
        return int(leader[1])

    async def add_user(self, name: str) -> KafkaSettings:
        """Make a user with a password of its own; return how to reach the cluster as that user."""
        file = self.folder / f"{name}.password"
        user = self.settings.model_copy(update={"username": name, "password_file": file})
        async with Admin(self.settings) as admin:
            await admin.set_password(name, new_password(file))
        await asyncio.gather(*(self._answers(one, user, 1) for one in self.brokers if one.alive))
        return user

    async def _answers(self, broker: KafkaBroker, user: KafkaSettings, count: int) -> None:
        """Return once a broker lets the user in and knows so many brokers."""
        alone = user.model_copy(update={"bootstrap": str(broker.address)})
        while True:
            if not broker.alive:
                raise BusUnavailable(
                    f"broker {broker.id} ended: {broker.last_words}",
                    where=str(broker.address),
                    remedy=f"see {broker.log}",
                )
            try:
                async with Admin(alone) as admin:
                    if len(await admin.brokers(timeout=2.0)) >= count:
                        return
            except (BusUnavailable, NotAuthenticated):
                # A broker that has not read the users yet refuses every one of them.
                await asyncio.sleep(0.1)


@asynccontextmanager
async def cluster(
    data: Path,
    *,
    brokers: int = 1,
    port: int = 0,
    secure: bool = False,
    configs: Mapping[str, str] | None = None,
) -> AsyncIterator[Cluster]:
    """Run a cluster for the time of a block; its processes die with this one, whatever happens.

    Args:
        data: a folder of its own: new, empty, or of an earlier run with the same arguments.
        brokers: 1 or 3.
        port: of the first broker, the others take the next ones; 0 takes free ones.
        secure: TLS, SASL/SCRAM-SHA-512 and an authorizer that denies what no rule allows.
        configs: further broker properties, which go before the launcher's.

    Raises:
        Missing: Java, Maven or the jars.
        AddressInUse: a port is taken.
        StorageInUse: another launcher runs on this folder.
        StorageUnusable: the folder is of something else, or of another kind of cluster.
        BusUnavailable: a broker ended, or they were not ready in time.
    """
    refuse_count(brokers, port)
    installation = await installed()
    if not installation.archive.exists():
        await _make_archive(installation)
    options = (f"-XX:SharedArchiveFile={installation.archive}",)
    async with _running(installation, options, data, brokers, port, secure, configs) as running:
        yield running


async def _make_archive(installation: Installation) -> None:
    """Have a broker write the archive of its classes when it ends; all goes on without one."""
    with suppress(OSError), passing_folder(installation.archive.parent) as folder:
        written = folder / "archive.jsa"
        options = (f"-XX:ArchiveClassesAtExit={written}",)
        async with _running(installation, options, folder / "data"):
            pass
        written.rename(installation.archive)


@asynccontextmanager
async def _running(
    installation: Installation,
    options: tuple[str, ...],
    data: Path,
    brokers: int = 1,
    port: int = 0,
    secure: bool = False,
    configs: Mapping[str, str] | None = None,
) -> AsyncIterator[Cluster]:
    with claimed(data):
        cluster_id = known(data, brokers=brokers, secure=secure)
        nodes = places(brokers, port)
        protection = security(data) if secure else None
        folders = [prepared(data, node, nodes, protection, configs or {}) for node in nodes]
        await asyncio.gather(
            *(formatted(installation, folder, cluster_id, protection) for folder in folders)
        )
        running = Cluster(
            brokers=tuple(
                KafkaBroker(node.id, local(node.port), folder, installation, options)
                for node, folder in zip(nodes, folders, strict=True)
            ),
            settings=settings(nodes, data, protection),
            folder=data,
            installation=installation,
        )
        try:
            for broker in running.brokers:
                broker.start()
            await running.ready()
            yield running
        finally:
            for broker in running.brokers:
                broker.ask_to_stop()
            await asyncio.gather(*(asyncio.to_thread(one.wait) for one in running.brokers))
