"""The writing side of the storage, used by the writer thread once it runs."""

from pathlib import Path
from uuid import UUID

from bus.broker.storage.database import connect
from bus.broker.storage.digest import Digest
from bus.broker.storage.log import Log
from bus.broker.storage.pages import Pages
from bus.broker.storage.positions import Positions
from bus.broker.storage.producers import Producers
from bus.broker.storage.rules import Rules
from bus.broker.storage.topics import Topics
from bus.broker.storage.transactions import Transactions
from bus.broker.storage.users import Users


class Store:
    """The database as its one writer sees it, table by table.

    Args:
        path: the database.
        overwrite: whether what is deleted is overwritten in the file.
    """

    def __init__(self, path: Path, *, overwrite: bool = True) -> None:
        self.path = path
        self._db = connect(path)
        # Not FAST, which leaves nearly all of it where it was.
        self._db.execute(f"pragma secure_delete = {'on' if overwrite else 'off'}")
        self.log = Log(self._db)
        self.topics = Topics(self._db, self.log.end, self.log.size)
        self.producers = Producers(self._db)
        self.positions = Positions(self._db)
        self.transactions = Transactions(self._db)
        self.users = Users(self._db)
        self.rules = Rules(self._db)
        self.pages = Pages(self._db, path)
        self.digest = Digest(self._db, self.log.end)

    def close(self) -> None:
        """Close the database; the write-ahead log is folded into it."""
        self._db.close()

    def begin(self) -> None:
        """Open a transaction."""
        self._db.execute("begin immediate")

    def commit(self) -> None:
        """Make the transaction durable."""
        self._db.execute("commit")

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so already."""
        if self._db.in_transaction:
            self._db.execute("rollback")

    def cluster(self) -> UUID:
        """Return the cluster's id."""
        found = self._db.execute("select value from meta where name = 'cluster'").fetchone()
        return UUID(bytes=found[0])
