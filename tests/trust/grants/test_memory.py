"""What a grant takes in memory, with its place in the index.

Tables double as they fill, so the bytes of a grant depend on how many there are. These are counted
just after all tables have doubled, which is the worst: a hundred thousand take less each.
"""

import gc
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from bus.trust.grants.book import Book
from bus.trust.grants.grant import State
from bus.trust.grants.holdings import Core
from bus.trust.grants.terms import Owner
from tests.trust.grants.parties import TOPIC, World

GRANTS = 22_000  # two thirds of 2**15, and a few
MOST_BYTES = 500
MUNICIPALITIES = 2_416  # of the 10,981 that a hundred thousand grants would share

SHARED = '[{"field":"cause","in":["BIRTH","MOVE"]}]'
UNIQUE = '[{"field":"person","is":"person-%08d"}]'
TWO = '[{"field":"person","is":"person-%08d"},{"field":"valid_from","from":"2026-01-%02d"}]'


def cores(rows: str, owners: int) -> Iterator[Core]:
    """Yield what grants say, none of them for the same time."""
    for number in range(GRANTS):
        yield Core(
            owner=Owner(f"de.mun.{number % owners:012}"),
            recipient=f"de.agency.a{number % 300}",
            topic=TOPIC,
            fields=("cause", "new_address"),
            rows=rows % ((number, number % 28 + 1)[: rows.count("%")]),
            purpose="tax",
            since=number,
            until=10**13 + number,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "owners"),
    [
        (SHARED, 1),
        (SHARED, MUNICIPALITIES),
        (UNIQUE, 1),
        (UNIQUE, MUNICIPALITIES),
        (TWO, MUNICIPALITIES),
    ],
    ids=["shared, one owner", "shared", "unique, one owner", "unique", "two, one unique"],
)
def test_bytes_of_a_grant_with_its_index(rows: str, owners: int) -> None:
    book, ids = Book(World()), random.Random(1)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for core in cores(rows, owners):
            book.restore(ids.randbytes(16), core, State.APPROVED)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(book) == GRANTS
    assert (after - before) / GRANTS <= MOST_BYTES, f"{(after - before) // GRANTS} bytes a grant"
