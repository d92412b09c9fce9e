"""Where the demo listens: where somebody has said, else the usual port or the next free one."""

import socket
from pathlib import Path
from typing import Any

from bus.errors import AddressInUse
from bus.settings import Address, Settings, load

USUAL_PORTS = {"broker": 9092, "registry": 8081, "portal": 8080, "ops": 9464}

TRIES = 100


def place(data: Path, kafka: str | None) -> tuple[Settings, dict[str, int]]:
    """Return the node's settings with ports that are free, and the ports that were not usual.

    Where somebody has said where to listen, it listens there, and any port (0) is a free one.

    Args:
        data: the node's folder.
        kafka: a cluster to use instead of the embedded broker; None: there is none.

    Raises:
        AddressInUse: no port is free.
        InvalidSettings: a setting cannot be used.
    """
    flags: dict[str, Any] = {"data": data, "kafka.bootstrap": kafka}
    given = load(flags)
    moved: dict[str, int] = {}
    roles = [role for role in USUAL_PORTS if role != "broker" or kafka is None]
    listens: dict[str, Address] = {role: getattr(given, role).listen for role in roles}
    said = {role for role in roles if given.origin(f"{role}.listen") and listens[role].port}
    taken = {listens[role].port for role in said}
    for role in roles:
        if role not in said:
            port = free_port(USUAL_PORTS[role], taken)
            listens[role] = listens[role].model_copy(update={"port": port})
            moved |= {role: port} if port != USUAL_PORTS[role] else {}
    registry = listens["registry"]
    if registry.is_everywhere:
        registry = Address(host="127.0.0.1", port=registry.port)
    scheme = "https" if given.registry.certificate_file else "http"
    flags |= {f"{role}.listen": str(listen) for role, listen in listens.items()}
    return load({**flags, "registry.url": f"{scheme}://{registry}"}), moved


def free_port(usual: int, taken: set[int]) -> int:
    """Return the first free loopback port from the usual one on, and mark it as taken.

    Raises:
        AddressInUse: none of the next hundred is free.
    """
    for port in range(usual, usual + TRIES):
        if port not in taken and _is_free(port):
            taken.add(port)
            return port
    raise AddressInUse(f"no port from {usual} to {usual + TRIES - 1} is free", where="127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
