"""The tables of the present version, and the steps to it from each older one."""

from collections.abc import Mapping, Sequence

from bus.broker.storage import log, positions, producers, rules, topics, transactions, users

VERSION = 2

_META = "create table meta (name text primary key, value) without rowid"

TABLES: Sequence[str] = (
    _META,
    *topics.TABLES,
    *log.TABLES,
    *producers.TABLES,
    *positions.TABLES,
    *transactions.TABLES,
    *users.TABLES,
    *rules.TABLES,
)

# By the version that is left. A step is never changed once it was released.
STEPS: Mapping[int, Sequence[str]] = {
    1: (
        *log.SINCE_1,
        *producers.SINCE_1,
        *positions.SINCE_1,
        *transactions.TABLES,
        *users.TABLES,
        *rules.TABLES,
    ),
}
