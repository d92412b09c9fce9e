"""Rows of the log by hand, and what is in them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bus.broker.batch import HEADER, Header, placed
from bus.broker.compaction.messages import Done, Order, Step
from bus.broker.compaction.process import compacted
from bus.broker.stage import Row
from bus.broker.storage.cleaning import CleaningReader
from bus.broker.storage.database import create
from bus.broker.storage.store import Store
from tests.engines.log import Logged, packed, unpacked


def at(offset: int, batch: bytes) -> bytes:
    """Return a batch as it is stored at an offset."""
    header = Header._make(HEADER.unpack_from(batch))
    return b"".join(placed(batch, header, offset, None))


def row(base: int, *batches: Sequence[Logged], codec: int = 0) -> Row:
    """Return a row of partition 1 that begins at an offset."""
    pieces, offset = [], base
    for records in batches:
        pieces.append(at(offset, packed(*records, codec=codec)))
        offset += len(records)
    data = b"".join(pieces)
    newest = max(one.timestamp for records in batches for one in records)
    return Row(1, base, offset, newest, [], len(data), offset - base, data)


def held(store: Store) -> list[Logged]:
    """Return what partition 1 holds."""
    rows = store._db.execute("select batches from log order by position").fetchall()
    return [record for (batches,) in rows for record in unpacked(batches)]


def places(store: Store) -> list[tuple[int, int]]:
    """Return from where to where each row of partition 1 reaches."""
    low = 1 << 40
    found = store._db.execute("select position, next from log order by position").fetchall()
    return [(position - low, next_) for position, next_ in found]


class Disk:
    """A database with one topic of one partition, and what compacts it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "broker.db"
        create(self.path)
        self.store = Store(self.path)
        self.store._db.execute("pragma synchronous = off")  # nobody cuts the power here
        self.store.begin()
        self.store.topics.create("t", 1, {})
        self.store.commit()
        self.reader = CleaningReader(self.path)

    def close(self) -> None:
        """Close the database."""
        self.reader.close()
        self.store.close()

    def write(self, rows: Iterable[Row]) -> None:
        """Store rows."""
        self.store.begin()
        self.store.log.write(rows)
        self.store.commit()

    def compact(
        self,
        end: int,
        *,
        cleaned: int = 0,
        now: int = 0,
        retention: int = 0,
        keys: int = 1000,
        steps: int = 1000,
    ) -> int:
        """Compact up to an offset; return up to where it was done. After so many steps, stop."""
        order = Order(
            partition=1,
            start=0,
            cleaned=cleaned,
            end=end,
            now=now,
            least=0,
            delete_retention=retention,
            keys=keys,
        )
        for answer in compacted(self.reader, order):
            if isinstance(answer, Done):
                return answer.cleaned
            assert isinstance(answer, Step), answer
            if steps == 0:
                break
            steps -= 1
            self.put(answer)
        return cleaned

    def put(self, step: Step) -> int | None:
        """Put a step in place; return what `Log.replace` does."""
        self.store.begin()
        less = self.store.log.replace(1, step)
        self.store.transactions.unmark(1, step.unmarked)
        self.store.commit()
        return less
