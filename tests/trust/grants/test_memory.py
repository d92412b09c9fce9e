"""A hundred thousand grants keep to what each may take in memory."""

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

GRANTS = 100_000
MOST_BYTES = 500
MUNICIPALITIES = 10_981

SHARED = '[{"field":"cause","in":["BIRTH","MOVE"]}]'
UNIQUE = '[{"field":"person","is":"person-%08d"}]'
TWO = '[{"field":"person","is":"person-%08d"},{"field":"valid_from","from":"2026-01-%02d"}]'


def cores(rows: str, owners: int) -> Iterator[Core]:
    """Yield what a hundred thousand grants say, none of them for the same time."""
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
@pytest.mark.parametrize("owners", [1, MUNICIPALITIES])
@pytest.mark.parametrize("rows", ["[]", SHARED, UNIQUE, TWO], ids=["none", "shared", "one", "two"])
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
    assert (after - before) / GRANTS <= MOST_BYTES
