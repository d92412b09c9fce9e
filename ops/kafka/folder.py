"""What lies in a cluster's folder: what it is, its secrets, and each broker's part, formatted."""

import base64
import fcntl
import json
import secrets
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bus.errors import InvalidSettings, StorageInUse, StorageUnusable
from bus.listen import bind
from bus.settings import Address, KafkaSettings
from ops.kafka import certificates
from ops.kafka.installation import Installation
from ops.kafka.process import LOGGING_FILE, complaint, output
from ops.kafka.properties import ADMIN, LOGGING, Node, Security, properties, text

_ABOUT = "cluster.json"
_FURNITURE = {"lock", LOGGING_FILE}


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Keep a folder to ourselves for the time of a block; make it if need be.

    Raises:
        StorageInUse: another launcher has it.
        StorageUnusable: it cannot be written.
    """
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
        (data / LOGGING_FILE).write_text(LOGGING, encoding="utf-8")
        yield


def emptied(data: Path) -> None:
    """Remove what an earlier cluster left in its folder.

    Raises:
        StorageInUse: a cluster runs on it.
    """
    with claimed(data):
        for entry in data.glob("broker-*"):
            shutil.rmtree(entry)
        (data / _ABOUT).unlink(missing_ok=True)


def known(data: Path, *, brokers: int, secure: bool) -> str:
    """Return the id of the folder's cluster; make one if the folder is new.

    Raises:
        StorageUnusable: the folder is of something else, or of another kind of cluster.
    """
    wanted = {"brokers": brokers, "secure": secure}
    file = data / _ABOUT
    if not file.exists():
        if {entry.name for entry in data.iterdir()} - _FURNITURE:
            raise StorageUnusable(
                "is not empty, and no cluster's folder", where=str(data),
                remedy="choose a new folder",
            )  # fmt: skip
        chosen = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        file.write_text(json.dumps({"cluster_id": chosen, **wanted}), encoding="utf-8")
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        identity: str = found["cluster_id"]
    except (OSError, ValueError, LookupError) as error:
        raise StorageUnusable(
            f"cannot be read: {error!r}", where=str(file), remedy="choose a new folder"
        ) from error
    if {name: found.get(name) for name in wanted} != wanted:
        kind = "a secure" if found.get("secure") else "an open"
        raise StorageUnusable(
            f"is of {kind} cluster of {found.get('brokers')}",
            where=str(data),
            remedy="run it with the arguments that it was made with, or choose a new folder",
        )
    return identity


def places(count: int, first: int) -> tuple[Node, ...]:
    """Return the nodes with ports that are free now; all are held until the last one is known.

    Raises:
        InvalidSettings: not 1 or 3 brokers, or there are no such ports.
        AddressInUse: a port is taken.
    """
    if count not in (1, 3):
        raise InvalidSettings("a cluster has 1 or 3 brokers", where=f"--brokers {count}")
    if first + count - 1 > 65535:
        raise InvalidSettings("there is no such port", where=f"--port {first}")
    with ExitStack() as held:

        def free(port: int) -> int:
            listener = held.enter_context(bind(local(port), "--port"))
            taken: int = listener.getsockname()[1]
            return taken

        ports = [free(first + n if first else 0) for n in range(count)]
        return tuple(
            Node(id=n, port=port, controller_port=free(0)) for n, port in enumerate(ports, 1)
        )


def local(port: int) -> Address:
    """Return a port's address on loopback."""
    return Address(host="127.0.0.1", port=port)


def security(data: Path) -> Security:
    """Return a secure cluster's certificates and password; make them if need be."""
    keystore, ca = certificates.make(data)
    return Security(keystore=keystore, ca=ca, password=new_password(data / f"{ADMIN}.password"))


def new_password(file: Path) -> str:
    """Return the password in a file that only its owner reads; make it if it is not there."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24) + "\n", encoding="utf-8")
    return file.read_text(encoding="utf-8").strip()


def settings(nodes: tuple[Node, ...], data: Path, security: Security | None) -> KafkaSettings:
    """Return how the administrator reaches the cluster."""
    bootstrap = ",".join(str(local(node.port)) for node in nodes)
    if security is None:
        return KafkaSettings(bootstrap=bootstrap)
    return KafkaSettings(
        bootstrap=bootstrap,
        security_protocol="SASL_SSL",
        username=ADMIN,
        password_file=data / f"{ADMIN}.password",
        ca_file=security.ca,
    )


def prepared(
    data: Path,
    node: Node,
    nodes: tuple[Node, ...],
    security: Security | None,
    configs: Mapping[str, str],
) -> Path:
    """Return a node's own folder, with its properties in it."""
    folder = data / f"broker-{node.id}"
    folder.mkdir(exist_ok=True)
    values = properties(node, nodes, folder / "data", security, configs)
    file = folder / "server.properties"
    file.touch(mode=0o600)
    file.write_text(text(values), encoding="utf-8")
    return folder


async def formatted(
    installation: Installation, folder: Path, cluster_id: str, security: Security | None
) -> None:
    """Have Kafka's own tool prepare an empty log; one that is there is left as it is."""
    if (folder / "data" / "meta.properties").exists():
        return
    # An id may begin with a dash, which would be taken for another option.
    arguments = ["format", f"--cluster-id={cluster_id}", "-c", str(folder / "server.properties")]
    if security is not None:
        arguments += ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={security.password}]"]
    command = installation.tool(
        "kafka.tools.StorageTool", *arguments, logging=folder.parent / LOGGING_FILE
    )
    said = await output(command)
    if not (folder / "data" / "meta.properties").exists():
        raise StorageUnusable(f"cannot be formatted: {complaint(said)}", where=str(folder))
