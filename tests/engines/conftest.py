"""Both engines, and a topic of its own for each test."""

import uuid

import pytest

from tests.engine import Engine


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other, each for the whole session."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def topic() -> str:
    """The name of a topic that nobody has made yet."""
    return f"engines.{uuid.uuid4().hex}"
