"""Both engines, and a topic of its own for each test."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from bus.settings import Address
from tests.broker.raw import Raw
from tests.engine import Engine
from tests.engines import deviations
from tests.engines.party import Party
from tests.engines.transactor import Transactor
from tests.secured import SecuredBroker


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's marks known."""
    config.addinivalue_line("markers", "lacking(reason): the embedded broker does not do this yet")
    config.addinivalue_line("markers", "differs(reason): the embedded broker differs for good")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what is said to be lacking to fail."""
    for item in items:
        deviations.expect(item)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other, each for the whole session."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(scope="session")
def embedded_secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The embedded broker with TLS, SCRAM and default deny, for the whole session."""
    with SecuredBroker(tmp_path_factory.mktemp("embedded-secure")) as broker:
        yield Engine(name="embedded", settings=broker.settings, secured=broker)


@pytest.fixture
def topic() -> str:
    """The name of a topic that nobody has made yet."""
    return f"engines.{uuid.uuid4().hex}"


@pytest.fixture
def address(engine: Engine) -> Address:
    """Where the engine listens, for connections by hand."""
    return Address.parse(engine.settings.bootstrap)


@pytest.fixture
async def raw(address: Address) -> AsyncIterator[Raw]:
    """A connection to the engine that sends what it is told."""
    async with await Raw.to(address) as connection:
        yield connection


@pytest.fixture
async def made(raw: Raw, topic: str) -> str:
    """A topic of two partitions."""
    await raw.made(topic, 2)
    return topic


@pytest.fixture
async def producer(address: Address) -> AsyncIterator[Transactor]:
    """A transactional producer that has its id."""
    async with Transactor.at(address) as one:
        yield await one.begin()
        await one.end(commit=False)


@pytest.fixture
async def party(address: Address) -> AsyncIterator[Party]:
    """A consumer group of its own, whose members send what they are told."""
    async with AsyncExitStack() as connections:
        begun = await Party(address, connections).start()
        yield begun
        await begun.stop()
