"""What the tests of durability stand on."""

import os

import pytest

from ops.torture.broker.disk import reachable
from tests.conftest import refuse


@pytest.fixture
def seed() -> int:
    """What settles a test; another one is given in the variable SEED."""
    chosen = int(os.environ.get("SEED", "20261121"))
    print(f"SEED={chosen}")  # noqa: T201  # shown where a test fails
    return chosen


@pytest.fixture
def virtual_disk() -> None:
    """A layer can be put under SQLite here; skips where not, and fails in CI."""
    if not reachable():
        refuse("Python's sqlite3 has SQLite built in: no layer can be put under it")
