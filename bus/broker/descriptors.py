"""How many connections the process may have open and still open files of its own."""

import logging
import resource

from bus import acceptor

SPARE = 128
"""Descriptors for the database, the other roles' sockets and what libraries open."""

_OTHERS = 2  # listeners in the same process: the registry's and that of ops

log = logging.getLogger(__name__)


def room_for(connections: int, *, handshakes: int = 0) -> int:
    """Have the system allow so many connections, as far as it does.

    Where all descriptors were used by connections, the database could not open its files, and
    would be taken for damaged.

    Args:
        connections: how many are wanted.
        handshakes: how many more may be under way, for each hundred connections.

    Returns:
        how many connections may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + connections * handshakes // 100 + SPARE + _OTHERS * acceptor.MOST
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    files = max(allowed, soft)
    left = files - SPARE - _OTHERS * acceptor.most_of(files)
    room = max(left * 100 // (100 + handshakes), 1)
    if room < connections:
        log.warning(
            "the system allows %s open files, so %s connections are taken instead of %s; "
            "raise it (ulimit -n) or set broker.max_connections",
            files,
            room,
            connections,
        )
    return min(room, connections)
