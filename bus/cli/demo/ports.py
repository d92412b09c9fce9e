"""Free ports: the usual one, or the next that nobody has."""

import socket

from bus.errors import AddressInUse

TRIES = 100


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
