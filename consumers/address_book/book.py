"""The address book's tables, and what an event does to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    Integer,
    MetaData,
    Row,
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

    def apply(self, connection: Connection, event: Event) -> bool:
        """Do what an event says, inside the caller's transaction.

        Returns:
            Whether it took effect; an event that is older than what is known does not.

        Raises:
            BadEvent: it says UNKNOWN about what happened to the address.
        """
        if event.data is None:
            self._remove(connection, split_key(event.key)[0])
            return True
        if event.data["change"] == "UNKNOWN":
            raise BadEvent("it does not say what happened to the address", where="change")
        address = event.data["address_id"]
        known = self._known(connection, address)
        if known is not None and not supersedes(event, known.event_id, _utc(known.event_time)):
            return False
        if known is not None:
            self._remove(connection, address)
        table = self.withdrawn if event.data["change"] == "WITHDRAWN" else self.current
        connection.execute(insert(table), _values(event, event.data, known))
        return True

    def take_over(self, connection: Connection, other: "Book") -> None:
        """Replace all rows by those of another book, inside the caller's transaction."""
        for mine, its in ((self.current, other.current), (self.withdrawn, other.withdrawn)):
            connection.execute(delete(mine))
            connection.execute(insert(mine).from_select([c.name for c in its.c], select(its)))

    def _known(self, connection: Connection, address: str) -> Row[Any] | None:
        both = union_all(
            *(
                select(table.c.event_id, table.c.event_time, table.c.revision).where(
                    table.c.address_id == address
                )
                for table in (self.current, self.withdrawn)
            )
        )
        return connection.execute(both).one_or_none()

    def _remove(self, connection: Connection, address: str) -> None:
        for table in (self.current, self.withdrawn):
            connection.execute(delete(table).where(table.c.address_id == address))


def supersedes(event: Event, known_id: str, known_time: datetime) -> bool:
    """Return whether an event replaces what is known of an address.

    The event that is known already, published again after a crash, changes nothing. What happened
    earlier never replaces what happened later, however late it comes; of two at the same time the
    one that comes later wins. A correction of the very event that is known wins whenever it says
    that it happened.
    """
    if event.id == known_id:
        return False
    corrects = event.data is not None and event.data["corrects"] == known_id
    return corrects or event.time >= known_time


def _values(event: Event, data: Mapping[str, Any], known: Row[Any] | None) -> dict[str, Any]:
    return {
        "address_id": data["address_id"],
        **{name: data[name] for name in _SAID},
        "event_id": event.id,
        # A correction may be dated back; what came in between must still not win against it.
        "event_time": max(event.time, _utc(known.event_time)) if known else event.time,
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
