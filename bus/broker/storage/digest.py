"""What a stopped broker left behind, in one number, so that the next one can tell if it still is.

The log's rows carry checksums of their own. All other tables are read as a whole when the broker
starts, and are held against a digest that was written when it last stopped; so are the ends of the
partitions, as nothing in the log tells that its last row is gone. A broker that was killed leaves
no digest: then the tables' structure alone is checked.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b

_DIGEST, _ENDS = "digest", "ends"
_LOG = "log"
_BITS = 63


class Digest:
    """The digest of all tables but the log.

    Args:
        db: the database.
        end: returns a partition's next offset of its number and first offset.
    """

    def __init__(self, db: sqlite3.Connection, end: Callable[[int, int], int]) -> None:
        self._db, self._end = db, end

    def write(self) -> None:
        """Leave the digest behind, as the last thing that is written.

        Raises:
            sqlite3.Error: it is not there.
        """
        self._db.execute("begin immediate")
        ends = {
            number: self._end(number, start)
            for number, start in self._db.execute("select number, start from partitions")
        }
        wrong = self._ends()
        self._put(_ENDS, json.dumps(ends | {n: wrong[n] for n in ends if n in wrong}))
        self._put(_DIGEST, self._sum())
        self._db.execute("commit")

    def verify(self) -> Mapping[int, int]:
        """Check the tables, and take the digest away before anything is changed.

        Returns:
            where partitions ended when the broker stopped: one that ends elsewhere is damaged, and
            stays so.

        Raises:
            sqlite3.Error: something is not what was written.
        """
        for table in self._tables():
            found = self._db.execute(f"pragma integrity_check({_quoted(table)})").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(f"table {table}: {found}")
        left = self._db.execute("select value from meta where name = ?", (_DIGEST,)).fetchone()
        if self.differs():
            raise sqlite3.DatabaseError("its tables are not what was written")
        ends, wrong = self._ends(), self.lost()
        if left is not None or wrong != ends:
            self._db.execute("begin immediate")
            self.forget()
            self._put(_ENDS, json.dumps(wrong))
            self._db.execute("commit")
        return wrong

    def differs(self) -> bool:
        """Say whether the tables are not what a broker left behind when it stopped.

        Raises:
            sqlite3.Error: they cannot be read.
        """
        left = self._db.execute("select value from meta where name = ?", (_DIGEST,)).fetchone()
        return left is not None and left[0] != self._sum()

    def lost(self) -> dict[int, int]:
        """Return where partitions ended when the broker stopped, of those that end elsewhere now.

        Raises:
            sqlite3.Error: they cannot be read.
        """
        starts = dict(self._db.execute("select number, start from partitions").fetchall())
        return {n: end for n, end in self._ends().items() if self._end(n, starts.get(n, 0)) != end}

    def forget(self) -> None:
        """Take the digest away in the transaction at hand, which changes what it is of."""
        self._db.execute("delete from meta where name = ?", (_DIGEST,))

    def _tables(self) -> list[str]:
        named = self._db.execute("select name from sqlite_master where type = 'table'")
        return [name for (name,) in named if name != _LOG]

    def _ends(self) -> dict[int, int]:
        kept = self._db.execute("select value from meta where name = ?", (_ENDS,)).fetchone()
        return {} if kept is None else {int(n): end for n, end in json.loads(kept[0]).items()}

    def _put(self, name: str, value: str | int) -> None:
        self._db.execute("insert or replace into meta values (?, ?)", (name, value))

    def _sum(self) -> int:
        """Return a sum over all rows, whatever their order; the digest's own row is left out."""
        total = sum(
            int.from_bytes(blake2b(repr(row).encode(), digest_size=8).digest())
            for row in self._rows()
        )
        return total % (1 << _BITS)

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for table in self._tables():
            for row in self._db.execute(f"select * from {_quoted(table)}"):  # noqa: S608  # a name of ours
                if (table, row[0]) != ("meta", _DIGEST):
                    yield (table, *row)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
