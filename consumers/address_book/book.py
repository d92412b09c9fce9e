"""The address book's tables, and what an event does to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    union_all,
)

from bus.errors import BadEvent
from bus.event import Event, split_key

_SAID = ("municipality", "street", "number", "suffix", "postcode", "place", "valid_from", "change",
         "cause", "basis")  # fmt: skip


class Known(NamedTuple):
    """The event that an address stands on, and how many have shaped it."""

    event_id: str
    event_time: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Book:
    """Two tables: the addresses in force, and those that were withdrawn.

    The withdrawn ones are kept apart so that `current` holds what is in force and nothing else,
    while an event that comes late cannot bring back what is gone.
    """

    current: Table
    withdrawn: Table

    @classmethod
    def named(cls, suffix: str = "") -> "Book":
        """Return the tables ``address`` and ``withdrawn_address``, each with a suffix."""
        metadata = MetaData()
        return cls(
            _table(f"address{suffix}", metadata), _table(f"withdrawn_address{suffix}", metadata)
        )

    def create(self, connection: Connection) -> None:
        """Make the tables where they are missing."""
        self.current.metadata.create_all(connection)

    def drop(self, connection: Connection) -> None:
        """Remove the tables where they are there."""
        self.current.metadata.drop_all(connection)

    def apply(self, connection: Connection, events: Sequence[Event]) -> int:
        """Do what events say, one after the other, inside the caller's transaction.

        Returns:
            How many took effect; an event that is older than what is known does not.

        Raises:
            BadEvent: one says UNKNOWN about what happened to the address; nothing was done.
        """
        known = self._known(connection, {_address(event) for event in events})
        after: dict[str, dict[str, Any] | None] = {}
        effects = 0
        for event in events:
            address = _address(event)
            if event.data is None:
                known.pop(address, None)
                after[address] = None
            elif event.data["change"] == "UNKNOWN":
                raise BadEvent("it does not say what happened to the address", where="change")
            elif supersedes(event, was := known.get(address)):
                after[address] = row = _row(event, event.data, was)
                known[address] = Known(row["event_id"], row["event_time"], row["revision"])
            else:
                continue
            effects += 1
        self._write(connection, after)
        return effects

    def take_over(self, connection: Connection, other: "Book") -> None:
        """Replace all rows by those of another book, inside the caller's transaction."""
        for mine, its in ((self.current, other.current), (self.withdrawn, other.withdrawn)):
            connection.execute(delete(mine))
            connection.execute(insert(mine).from_select([c.name for c in its.c], select(its)))

    def _known(self, connection: Connection, addresses: Collection[str]) -> dict[str, Known]:
        both = union_all(
            *(
                select(
                    table.c.address_id, table.c.event_id, table.c.event_time, table.c.revision
                ).where(table.c.address_id.in_(list(addresses)))
                for table in (self.current, self.withdrawn)
            )
        )
        return {
            address: Known(event, _utc(time), revision)
            for address, event, time, revision in connection.execute(both)
        }

    def _write(self, connection: Connection, after: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Write what has become of addresses; None for one that is to be forgotten."""
        for table in (self.current, self.withdrawn):
            connection.execute(delete(table).where(table.c.address_id.in_(list(after))))
            rows = [row for row in after.values() if row and self._home(row) is table]
            if rows:
                connection.execute(insert(table), rows)

    def _home(self, row: Mapping[str, Any]) -> Table:
        return self.withdrawn if row["change"] == "WITHDRAWN" else self.current


def supersedes(event: Event, known: Known | None) -> bool:
    """Return whether an event replaces what is known of an address.

    The event that is known already, published again after a crash, changes nothing. What happened
    earlier never replaces what happened later, however late it comes; of two at the same time the
    one that comes later wins. A correction of the very event that is known wins whenever it says
    that it happened.
    """
    if known is None:
        return True
    if event.id == known.event_id:
        return False
    corrects = event.data is not None and event.data["corrects"] == known.event_id
    return corrects or event.time >= known.event_time


def _address(event: Event) -> str:
    return split_key(event.key)[0]


def _row(event: Event, data: Mapping[str, Any], known: Known | None) -> dict[str, Any]:
    return {
        "address_id": _address(event),
        **{name: data[name] for name in _SAID},
        "event_id": event.id,
        # A correction may be dated back; what came in between must still not win against it.
        "event_time": max(event.time, known.event_time) if known else event.time,
        "revision": known.revision + 1 if known else 1,
    }


def _utc(time: datetime) -> datetime:
    # SQLite keeps no time zone; everything here is written in UTC.
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _table(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("address_id", String, primary_key=True),
        Column("municipality", String, nullable=False),
        Column("street", String, nullable=False),
        Column("number", String, nullable=False),
        Column("suffix", String),
        Column("postcode", String, nullable=False),
        Column("place", String, nullable=False),
        Column("valid_from", Date, nullable=False),
        Column("change", String, nullable=False),
        Column("cause", String, nullable=False),
        Column("basis", String, nullable=False),
        Column("event_id", String, nullable=False),
        Column("event_time", DateTime(timezone=True), nullable=False),
        Column("revision", Integer, nullable=False, comment="events that took effect on the row"),
    )
