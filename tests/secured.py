"""The embedded broker with TLS, login and rules, in a thread of its own."""

import asyncio
import datetime as dt
import secrets
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from bus.admin import Admin
from bus.broker import Broker
from bus.settings import Address, BrokerSettings, KafkaSettings
from bus.telemetry import Telemetry

ADMINISTRATOR = "admin"
HOST = "127.0.0.1"


class SecuredBroker:
    """A broker that lets nobody do anything, but its administrator everything.

    Args:
        folder: an empty folder.
        settings: further settings of the broker, which go before those of here.

    Attributes:
        settings: how its administrator reaches it.
        authority: who issued its certificate.
        clients: who issues those of its clients, if it asks for them.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._folder = folder
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.clients = trustme.CA()
        self.client_ca_file = folder / "clients.pem"
        self.clients.cert_pem.write_to_path(self.client_ca_file)
        self.certificate_file = folder / "broker.pem"
        self.certify()
        self._settings: dict[str, Any] = {
            "listen": Address(host=HOST, port=0),
            "certificate_file": self.certificate_file,
            "client_ca_file": self.client_ca_file,
            "super_users": (f"User:{ADMINISTRATOR}",),
        } | settings
        self._password = secrets.token_urlsafe(18)
        self._runner = asyncio.Runner()
        self._thread = threading.Thread(target=self._serve, name="secured-broker")
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._failure: BaseException | None = None
        self.telemetry = Telemetry()
        self.settings = KafkaSettings()

    def certify(
        self, *, since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> None:
        """Give it a new certificate."""
        issued = self.authority.issue_cert(HOST, "localhost", not_before=since, not_after=until)
        made = self.certificate_file.with_suffix(".new")
        issued.private_key_and_cert_chain_pem.write_to_path(made)
        made.rename(self.certificate_file)

    @property
    def bootstrap(self) -> str:
        """Where it is."""
        return self.settings.bootstrap

    @property
    def address(self) -> Address:
        """Where it is."""
        return Address.parse(self.bootstrap)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.get_loop().call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def user(self, name: str, password: str) -> KafkaSettings:
        """Return how a user reaches it."""
        file = self._folder / f"{name}.password"
        file.write_text(password, encoding="utf-8")
        return self.settings.model_copy(update={"username": name, "password_file": file})

    async def add_user(self, name: str) -> KafkaSettings:
        """Make a user with a password of its own; return how to reach the broker as that user."""
        password = secrets.token_urlsafe(18)
        async with Admin(self.settings) as admin:
            await admin.set_password(name, password)
        return self.user(name, password)

    def _serve(self) -> None:
        with self._runner:
            self._runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        users = {ADMINISTRATOR: self._password}
        broker = Broker(
            BrokerSettings(**self._settings), self._folder / "broker", self.telemetry, users=users
        )
        try:
            await broker.start()
        except BaseException as error:
            self._failure = error
            raise
        else:
            self.settings = KafkaSettings(
                bootstrap=str(broker.address), security_protocol="SASL_SSL", ca_file=self.ca_file
            )
            self.settings = self.user(ADMINISTRATOR, self._password)
        finally:
            self._started.set()
        await self._stop.wait()
        await broker.stop()
