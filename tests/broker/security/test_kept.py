"""Users and rules are durable, and open connections feel a change at their next request."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from bus.admin import Admin
from bus.broker.directory import Directory
from bus.broker.security.credentials import Mechanism, of_password
from bus.broker.security.rules import Kind, Operation, Pattern, Permission, Rule
from bus.broker.storage.store import Store
from tests.broker.raw import Raw
from tests.engines.login import authenticate, encrypted, log_in, shake_hands
from tests.secured import SecuredBroker


def rule(operation: Operation, permission: Permission = Permission.ALLOW) -> dict[str, Any]:
    """Return a rule about a topic for the user x."""
    return {
        "resource_type": Kind.TOPIC,
        "resource_name": "topic",
        "resource_pattern_type": Pattern.LITERAL,
        "principal": "User:x",
        "host": "*",
        "operation": operation,
        "permission_type": permission,
    }


async def connected(broker: SecuredBroker, user: tuple[str, str]) -> Raw:
    """Return a connection of a user."""
    raw = await encrypted(broker.address, broker.ca_file)
    assert (await log_in(raw, *user)).error_code == 0
    return raw


async def test_a_restart(tmp_path: Path) -> None:
    """Users and rules are there again, and the administrator's password may be another."""
    with SecuredBroker(tmp_path) as broker:
        user = await broker.add_user("x")
        async with await connected(broker, broker.settings.login()) as raw:
            made = await raw.ask(30, 3, creations=[rule(Operation.CREATE)])
            assert made.results[0].error_code == 0
        old = broker.settings.login()
    with SecuredBroker(tmp_path) as broker:
        assert broker.settings.login() != old
        async with await encrypted(broker.address, broker.ca_file) as raw:
            assert (await log_in(raw, *old)).error_code == 58
        async with await connected(broker, user.login()) as raw:
            assert (await raw.create("topic")).error_code == 0
            assert (await raw.create("other")).error_code == 29


async def test_open_connections(tmp_path: Path) -> None:
    """A denial is felt at the next request of a connection that is open, produce included."""
    with SecuredBroker(tmp_path) as broker:
        user = await broker.add_user("x")
        async with (
            await connected(broker, broker.settings.login()) as admin,
            await connected(broker, user.login()) as raw,
        ):
            await admin.made("topic")
            await admin.ask(30, 3, creations=[rule(Operation.WRITE)])
            batch = bytes.fromhex("")
            assert (await raw.produce("topic", batch)).error_code != 29
            await admin.ask(30, 3, creations=[rule(Operation.WRITE, Permission.DENY)])
            assert (await raw.produce("topic", batch)).error_code == 29
            assert "stadtbus_denials_total" in broker.telemetry.exposition().decode()


async def test_a_flood_of_wrong_passwords(tmp_path: Path) -> None:
    """While many are refused, who knows the password is let in and served at once."""
    with SecuredBroker(tmp_path, sasl_mechanisms=("PLAIN", "SCRAM-SHA-512")) as broker:

        async def wrong() -> None:
            async with await encrypted(broker.address, broker.ca_file) as raw:
                await shake_hands(raw, "PLAIN")
                assert (await authenticate(raw, b"\0admin\0wrong")).error_code == 58

        async with await connected(broker, broker.settings.login()) as raw:
            flood = [asyncio.create_task(wrong()) for _ in range(20)]
            longest = 0.0
            while not all(task.done() for task in flood):  # each look is a request of its own
                started = time.perf_counter()
                assert await raw.ask(16, 4, states_filter=()) is not None
                longest = max(longest, time.perf_counter() - started)
            await asyncio.gather(*flood)
        # Twenty handshakes of both sides share this process; one hash after the other is longer.
        assert longest < 1.0


def test_what_is_stored(tmp_path: Path) -> None:
    """Users and rules are stored as they are, and no password is."""
    folder = Directory(tmp_path)
    folder.take()
    store = Store(folder.database)
    credential = of_password(Mechanism.SCRAM_SHA_256, "a password to look for")
    one = Rule(Kind.GROUP, Pattern.PREFIXED, "a.", "User:a", "*", Operation.READ, Permission.DENY)
    store.begin()
    store.users.write({("a", Mechanism.SCRAM_SHA_256): credential}, ())
    store.rules.write([one, one], ())
    store.commit()
    assert store.users.all() == {("a", Mechanism.SCRAM_SHA_256): credential}
    assert store.rules.all() == [one]
    assert len(store.users.secret()) == 32
    store.begin()
    store.users.write({}, [("a", Mechanism.SCRAM_SHA_256)])
    store.rules.write((), [one])
    store.commit()
    assert (store.users.all(), store.rules.all()) == ({}, [])
    store.close()
    folder.release()
    assert all(b"a password" not in file.read_bytes() for file in tmp_path.iterdir())


async def test_a_user_named_at_the_start(tmp_path: Path) -> None:
    """A user that is named when the broker starts is made for each mechanism that is offered."""
    with SecuredBroker(tmp_path, sasl_mechanisms=("SCRAM-SHA-256", "SCRAM-SHA-512")) as broker:
        async with await connected(broker, broker.settings.login()) as raw:
            (told,) = (await raw.ask(50, 0, users=None)).results
            assert [one.mechanism for one in told.credential_infos] == [1, 2]
        by_256 = broker.settings.model_copy(update={"sasl_mechanism": "SCRAM-SHA-256"})
        async with Admin(by_256) as admin:
            assert await admin.brokers()


@pytest.mark.parametrize("mechanism", list(Mechanism))
def test_credentials(mechanism: Mechanism) -> None:
    """A credential proves its password, and each has a salt of its own."""
    one, other = of_password(mechanism, "x"), of_password(mechanism, "x")
    assert one.proves("x")
    assert not one.proves("y")
    assert one.salt != other.salt
