"""One or three Kafka brokers on loopback: formatted, started, waited for, stopped."""

import asyncio
import base64
import fcntl
import json
import re
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.admin import Admin
from bus.errors import (
    BusUnavailable,
    InvalidSettings,
    NotAuthenticated,
    StorageInUse,
    StorageUnusable,
)
from bus.listen import bind
from bus.settings import Address, KafkaSettings
from ops.kafka import certificates
from ops.kafka.installation import Installation, installed
from ops.kafka.process import KafkaBroker
from ops.kafka.properties import (
    ADMIN,
    LOGGING,
    Node,
    Security,
    client_properties,
    properties,
    text,
)

READY_SECONDS = 60.0
"""How long brokers may take until all of them answer."""

_ABOUT = "cluster.json"
_TOOL = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


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
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}"
        return self.installation.command(main_class, *arguments, options=(*_TOOL, logging))

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
        said = await _output(
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
            await admin.set_password(name, _password(file))
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
    installation = await asyncio.to_thread(installed)
    if not installation.archive.exists():
        await _make_archive(installation)
    options = (f"-XX:SharedArchiveFile={installation.archive}",)
    async with _running(installation, options, data, brokers, port, secure, configs) as running:
        yield running


async def _make_archive(installation: Installation) -> None:
    """Have a broker write the archive of its classes when it ends."""
    with tempfile.TemporaryDirectory(dir=installation.archive.parent) as folder:
        written = Path(folder) / "archive.jsa"
        options = (f"-XX:ArchiveClassesAtExit={written}",)
        async with _running(installation, options, Path(folder) / "data"):
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
    with _claimed(data):
        about = _about(data, brokers=brokers, secure=secure)
        nodes = _places(brokers, port)
        security = _security(data) if secure else None
        (data / "log4j2.xml").write_text(LOGGING, encoding="utf-8")
        folders = [_prepared(data, node, nodes, security, configs or {}) for node in nodes]
        await asyncio.gather(
            *(_format(installation, folder, about["cluster_id"], security) for folder in folders)
        )
        running = Cluster(
            brokers=tuple(
                KafkaBroker(node.id, _address(node.port), folder, installation, options)
                for node, folder in zip(nodes, folders, strict=True)
            ),
            settings=_settings(nodes, data, security),
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


@contextmanager
def _claimed(data: Path) -> Iterator[None]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as error:
        raise StorageUnusable(
            f"cannot be written: {error.strerror}", where=str(data), remedy="choose another folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageInUse(
                "another cluster runs on it", where=str(data), remedy="stop it first"
            ) from error
        yield


def _about(data: Path, *, brokers: int, secure: bool) -> dict[str, Any]:
    """Return what the folder says of its cluster; say it if the folder is new."""
    wanted = {"brokers": brokers, "secure": secure}
    file = data / _ABOUT
    if not file.exists():
        if {entry.name for entry in data.iterdir()} - {"lock"}:
            raise StorageUnusable(
                "is not empty, and no cluster's folder", where=str(data),
                remedy="choose a new folder",
            )  # fmt: skip
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        file.write_text(json.dumps({"cluster_id": identity, **wanted}), encoding="utf-8")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if {name: found.get(name) for name in wanted} != wanted:
        kind = "a secure" if found.get("secure") else "an open"
        raise StorageUnusable(
            f"is of {kind} cluster of {found.get('brokers')}",
            where=str(data),
            remedy="run it with the arguments that it was made with, or choose a new folder",
        )
    return found


def _places(count: int, first: int) -> tuple[Node, ...]:
    """Return the nodes with ports that are free now; all are held until the last one is known."""
    if count not in (1, 3):
        raise InvalidSettings("a cluster has 1 or 3 brokers", where=f"--brokers {count}")
    if first + count - 1 > 65535:
        raise InvalidSettings("there is no such port", where=f"--port {first}")
    with ExitStack() as held:

        def free(port: int) -> int:
            listener = held.enter_context(bind(_address(port), "--port"))
            taken: int = listener.getsockname()[1]
            return taken

        ports = [free(first + n if first else 0) for n in range(count)]
        return tuple(
            Node(id=n, port=port, controller_port=free(0)) for n, port in enumerate(ports, 1)
        )


def _address(port: int) -> Address:
    return Address(host="127.0.0.1", port=port)


def _security(data: Path) -> Security:
    keystore, ca = certificates.make(data)
    return Security(keystore=keystore, ca=ca, password=_password(data / f"{ADMIN}.password"))


def _password(file: Path) -> str:
    """Return the password in a file that only its owner reads; make it if it is not there."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()


def _settings(nodes: tuple[Node, ...], data: Path, security: Security | None) -> KafkaSettings:
    bootstrap = ",".join(str(_address(node.port)) for node in nodes)
    if security is None:
        return KafkaSettings(bootstrap=bootstrap)
    return KafkaSettings(
        bootstrap=bootstrap,
        security_protocol="SASL_SSL",
        username=ADMIN,
        password_file=data / f"{ADMIN}.password",
        ca_file=security.ca,
    )


def _prepared(
    data: Path,
    node: Node,
    nodes: tuple[Node, ...],
    security: Security | None,
    configs: Mapping[str, str],
) -> Path:
    folder = data / f"broker-{node.id}"
    folder.mkdir(exist_ok=True)
    values = properties(node, nodes, folder / "data", security, configs)
    file = folder / "server.properties"
    file.touch(mode=0o600)
    file.write_text(text(values), encoding="utf-8")
    return folder


async def _format(
    installation: Installation, folder: Path, cluster_id: str, security: Security | None
) -> None:
    """Have Kafka's own tool prepare an empty log; one that is there is left as it is."""
    if (folder / "data" / "meta.properties").exists():
        return
    arguments = ["format", "-t", cluster_id, "-c", str(folder / "server.properties")]
    if security is not None:
        arguments += ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={security.password}]"]
    said = await _output(installation.command("kafka.tools.StorageTool", *arguments, options=_TOOL))
    if not (folder / "data" / "meta.properties").exists():
        raise StorageUnusable(f"cannot be formatted: {said.strip()[-500:]}", where=str(folder))


async def _output(command: list[str]) -> str:
    """Run a command to its end and return all that it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return said.decode(errors="replace")
