"""How many connections the process may have open and still open files of its own."""

import logging
import resource

SPARE = 128
"""Descriptors for the database, the other roles' sockets and what libraries open."""

ELSEWHERE = 1024
"""Descriptors that the process' other listeners may take, where nobody says how many."""

_SHARE = 4  # of all descriptors, these get one in so many at the most

log = logging.getLogger(__name__)


def room_for(connections: int, *, handshakes: int = 0, elsewhere: int = ELSEWHERE) -> int:
    """Have the system allow so many connections, as far as it does.

    Where all descriptors were used by connections, the database could not open its files, and
    would be taken for damaged.

    Args:
        connections: how many are wanted.
        handshakes: how many more may be under way, for each hundred connections.
        elsewhere: how many the process' other listeners may take.

    Returns:
        how many connections may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + connections * handshakes // 100 + SPARE + elsewhere
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    files = max(allowed, soft)
    left = files - SPARE - min(elsewhere, files // _SHARE)
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
