"""Listening sockets, for every role the same."""

import errno
import socket
from collections.abc import Sequence

from bus.errors import AddressInUse, InvalidSettings
from bus.settings import Address


def refuse_open(
    listen: Address, setting: str, *, lacking: Sequence[str], insecure: bool = False
) -> None:
    """Refuse an address that others could reach while something is lacking that protects it.

    Args:
        listen: the address.
        setting: the setting that holds it.
        lacking: what there is not, such as ``TLS``; nothing if it is protected.
        insecure: somebody said by name that it shall be open.

    Raises:
        InvalidSettings: the address is not loopback, and something is lacking.
    """
    if listen.is_loopback or insecure or not lacking:
        return
    section = setting.partition(".")[0]
    raise InvalidSettings(
        f"{listen} can be reached from other machines, and has {' and '.join(lacking)}",
        where=setting,
        remedy="let `stadtbus serve --init-security` make what it needs, or set "
        f"{section}.certificate_file and what docs/security.md names; or listen on 127.0.0.1 or "
        "::1; --insecure opens it to everybody",
    )


def bind(listen: Address, setting: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        AddressInUse: the port is taken, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # Only for sockets that say they are TCP does asyncio switch off Nagle's algorithm, which
    # would hold every answer back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((listen.host, listen.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        raise AddressInUse(
            "the port is taken" if taken else f"cannot be listened on: {error.strerror}",
            where=f"{setting} {listen}",
            remedy="stop the other program, or choose another port (0 takes a free one)",
        ) from error
    listener.setblocking(False)
    return listener
