"""How many connections the process may have open and still open files of its own."""

import logging
import resource

SPARE = 128
"""Descriptors for the database, the other roles' sockets and what libraries open."""

log = logging.getLogger(__name__)


def room_for(connections: int) -> int:
    """Have the system allow so many connections, as far as it does.

    Where all descriptors were used by connections, the database could not open its files, and
    would be taken for damaged.

    Returns:
        how many connections may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    room = max(max(allowed, soft) - SPARE, 1)
    if room < connections:
        log.warning(
            "the system allows %s open files, so %s connections are taken instead of %s; "
            "raise it (ulimit -n) or set broker.max_connections",
            max(allowed, soft),
            room,
            connections,
        )
    return min(room, connections)
