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
from ops.kafka.child import complaint, output
from ops.kafka.installation import Installation
from ops.kafka.process import LOGGING_FILE
from ops.kafka.properties import ADMIN, LOGGING, Node, Security, properties, text

_ABOUT = "cluster.json"
_LOCK = "lock"


@contextmanager
def claimed(data: Path) -> Iterator[None]:
    """Keep a folder to ourselves for the time of a block; make it if need be.

    Raises:
        StorageInUse: another launcher has it.
        StorageUnusable: it is something else's folder, or cannot be written.
    """
    if "," in str(data):
        raise StorageUnusable(
            "has a comma in its name, which Kafka takes for the end of it",
            where=str(data),
            remedy="choose another folder",
        )
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not (data / _ABOUT).exists() and {entry.name for entry in data.iterdir()} - {_LOCK}:
            raise StorageUnusable(
                "is not empty, and no cluster's folder",
                where=str(data),
                remedy="choose a new folder",
            )
        lock = (data / _LOCK).open("a")
    except OSError as error:
        raise _unwritable(data, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageInUse(
                "another cluster runs on it", where=str(data), remedy="stop it first"
            ) from error
        yield


def emptied(data: Path) -> None:
    """Remove what an earlier cluster left in its folder.

    Raises:
        StorageInUse: a cluster runs on it.
        StorageUnusable: it is something else's folder, or cannot be written.
    """
    with claimed(data):
        try:
            for number in range(1, max(COUNTS) + 1):
                shutil.rmtree(data / f"broker-{number}", ignore_errors=True)
            (data / LOGGING_FILE).unlink(missing_ok=True)
            (data / _ABOUT).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(data, error) from error


def known(data: Path, *, brokers: int, secure: bool) -> str:
    """Return the id of the folder's cluster; make one if the folder is new.

    Raises:
        StorageUnusable: the folder is of another kind of cluster, or cannot be used.
    """
    wanted = {"brokers": brokers, "secure": secure}
    file = data / _ABOUT
    try:
        if not file.exists():
            chosen = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            _written(file, json.dumps({"cluster_id": chosen, **wanted}))
        _written(data / LOGGING_FILE, LOGGING)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        identity: str = found["cluster_id"]
    except OSError as error:
        raise _unwritable(data, error) from error
    except (ValueError, LookupError, TypeError) as error:
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


def _unwritable(data: Path, error: OSError) -> StorageUnusable:
    return StorageUnusable(
        f"cannot be used: {error.strerror}", where=str(data), remedy="choose another folder"
    )


def _written(file: Path, said: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.touch(mode=0o600)
    part.write_text(said, encoding="utf-8")
    part.replace(file)


COUNTS = (1, 3)
"""How many brokers a cluster can have here."""


def refuse_count(count: int, first: int) -> None:
    """Refuse what no cluster can be, before anything is made.

    Raises:
        InvalidSettings: not 1 or 3 brokers, or there are no such ports.
    """
    if count not in COUNTS:
        raise InvalidSettings(
            "a cluster has 1 or 3 brokers here",
            where=f"--brokers {count}",
            remedy="give --brokers 1, or --brokers 3 for ones that replicate",
        )
    if first + count - 1 > 65535:
        raise InvalidSettings(
            f"there is no such port for broker {count}: {first + count - 1}",
            where=f"--port {first}",
            remedy=f"give --port {65536 - count} at the most, or 0 for free ones",
        )


def places(count: int, first: int) -> tuple[Node, ...]:
    """Return the nodes with ports that are free now; all are held until the last one is known.

    Raises:
        AddressInUse: a port is taken.
    """
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
        _written(file, secrets.token_urlsafe(24) + "\n")
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
    _written(folder / "server.properties", text(values))
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
    # Everybody on the machine sees a command line, and the password is on this one; Java takes it
    # from a file instead.
    _written(hidden := folder / "format.args", " ".join(map(quoted, command[1:])))
    try:
        _, said = await output([command[0], f"@{hidden}"])
    finally:
        hidden.unlink()
    if not (folder / "data" / "meta.properties").exists():
        raise StorageUnusable(
            f"cannot be formatted: {complaint(said)}",
            where=str(folder),
            remedy="see what it says, or choose a new folder",
        )


def quoted(argument: str) -> str:
    """Return an argument as a file of Java's arguments has it (java, "@argfiles")."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
