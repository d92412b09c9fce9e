"""A broker in this process, and what is to be said of its folder afterwards."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from kio.schema.errors import ErrorCode

from bus.broker import Broker
from bus.broker.keys import ApiKey
from bus.broker.storage.database import NAME
from bus.errors import BusError
from bus.settings import Address, BrokerSettings
from bus.telemetry import Telemetry
from ops.torture.broker.account import Account
from ops.torture.broker.client import Client, creation
from ops.torture.broker.load import PARTITIONS, TOPIC
from ops.torture.broker.reading import Unreadable, everything


def local(data: Path, **more: int) -> Broker:
    """Return a broker on a free port that is not started."""
    listen = Address(host="127.0.0.1", port=0)
    return Broker(BrokerSettings.model_validate({"listen": listen, **more}), data, Telemetry())


async def prepared(where: Callable[[], Address], partitions: int = PARTITIONS) -> None:
    """Make the topic that a load writes to."""
    client = await Client.to(where)
    try:
        answer = await client.ask(ApiKey.CREATE_TOPICS, 5, **creation(TOPIC, partitions))
    finally:
        client.close()
    assert answer.topics[0].error_code is ErrorCode.none, answer


async def judged(where: Callable[[], Address], account: Account) -> list[str]:
    """Return a sentence for each promise that a running broker has not kept."""
    transactions = {value.transaction.partition(":")[0] for value in account.sent.values()} - {""}
    groups = {*account.asked, *(e.group for e in account.ending.values())} - {""}
    try:
        found = await everything(where, TOPIC, range(PARTITIONS), groups, transactions)
    except Unreadable as error:
        return [str(error)]
    return account.breaches(found)


async def reopened(data: Path, account: Account) -> list[str]:
    """Start a broker on a folder and judge what it has; look at the database's structure, too."""
    try:
        async with local(data) as broker:
            breaches = await judged(lambda: broker.address, account)
    except BusError as error:
        return [f"it does not start: {error}"]
    return [*breaches, *structure(data)]


def structure(data: Path) -> Iterable[str]:
    """Return what SQLite finds wrong with a stopped broker's database."""
    with closing(sqlite3.connect(data / NAME)) as database:
        found = [row[0] for row in database.execute("pragma integrity_check")]
    return [] if found == ["ok"] else found
