"""Logging in again on an open connection (KIP-368)."""

import asyncio
import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from confluent_kafka import Producer

from bus.admin import Access
from tests.broker.raw import Raw
from tests.broker.security.asking import (
    connected,
    served,
    trusting,
)
from tests.engines.login import authenticate, log_in, prove, shake_hands
from tests.secured import SecuredBroker
from tests.waiting import until


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker where a login lasts two seconds."""
    with SecuredBroker(
        tmp_path_factory.mktemp("brief"),
        sasl_mechanisms=("PLAIN", "SCRAM-SHA-512"),
        reauthenticate_seconds=2,
    ) as broker:
        yield broker


class TestAgain:
    """Logging in again on an open connection (KIP-368)."""

    async def test_in_time(self, brief: SecuredBroker) -> None:
        """Who logs in again in time goes on; who does not is cut off at its next request."""
        user = brief.settings.login()
        async with await connected(brief, trusting(brief)) as raw:
            told = await log_in(raw, *user)
            assert told.session_lifetime == dt.timedelta(seconds=2)
            # At most once a second.
            assert (await shake_hands(raw, "SCRAM-SHA-512")).error_code == 34
            await until(lambda: accepted(raw))
            assert (await proved(raw, *user)).error_code == 0
            assert await served(raw)
            await until(lambda: gone(raw))

    async def test_another_user(self, brief: SecuredBroker) -> None:
        """It has to be the same user, and the same mechanism."""
        other = await brief.add_user("other")
        for mechanism, login in (("SCRAM-SHA-512", other), ("PLAIN", brief.settings)):
            async with await connected(brief, trusting(brief)) as raw:
                await log_in(raw, *brief.settings.login())
                await until(partial(accepted, raw, mechanism))
                told = await proved(raw, *login.login(), mechanism=mechanism)
                assert told.error_code == 58
                assert "re-authentication" in told.error_message
                assert await raw.answer() == b""

    async def test_a_user_who_was_deleted(self, brief: SecuredBroker) -> None:
        """Whose user is no more cannot log in again, and so is out within that time."""
        user = await brief.add_user("gone")
        async with await connected(brief, trusting(brief)) as raw:
            assert (await log_in(raw, *user.login())).error_code == 0
            async with Access(brief.settings) as access:
                await access.remove_user("gone")
            assert await served(raw)
            await until(partial(accepted, raw))
            assert (await proved(raw, *user.login())).error_code == 58
            assert await raw.answer() == b""

    async def test_a_client(self, brief: SecuredBroker) -> None:
        """A client of librdkafka's does so by itself, and loses nothing."""
        async with await connected(brief, trusting(brief)) as raw:
            await log_in(raw, *brief.settings.login())
            await raw.made("again")
        user, password = brief.settings.login()
        failed: list[object] = []
        producer = Producer(
            {
                "bootstrap.servers": brief.bootstrap,
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": user,
                "sasl.password": password,
                "ssl.ca.location": str(brief.ca_file),
                "error_cb": failed.append,
            }
        )
        written = logins(brief)

        def once_more() -> bool:
            producer.produce("again", b"x", on_delivery=lambda error, _: failed.append(error))
            producer.flush(10)
            return logins(brief) >= written + 4

        await until(lambda: asyncio.to_thread(once_more))
        assert set(failed) == {None}


def logins(broker: SecuredBroker) -> float:
    """Return how often somebody has logged in."""
    return float(broker.telemetry.logins.labels("SCRAM-SHA-512", "ok")._value.get())


async def accepted(raw: Raw, mechanism: str = "SCRAM-SHA-512") -> bool:
    """Say whether one may begin to log in."""
    return bool((await shake_hands(raw, mechanism)).error_code == 0)


async def proved(raw: Raw, user: str, password: str, mechanism: str = "SCRAM-SHA-512") -> Any:
    """Go on with the login; return the last answer."""
    if mechanism == "PLAIN":
        return await authenticate(raw, f"\0{user}\0{password}".encode())
    return await prove(raw, user, password)


async def gone(raw: Raw) -> bool:
    """Say whether one is served no more."""
    return not await served(raw)
