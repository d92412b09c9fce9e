"""The registry as a role of a node: connected, in force, listening."""

import logging
from contextlib import AsyncExitStack
from functools import partial

from starlette.types import ASGIApp

from bus.admin import Admin
from bus.audit import Notes
from bus.contracts import Contract, load_all
from bus.counted import Counted
from bus.errors import InvalidContract
from bus.http import HttpListener
from bus.journal import Entry, Journal
from bus.kafka import LogReader, Producer, accepts
from bus.registry.api import Api
from bus.registry.doorman import Doorman
from bus.registry.edge import Edge
from bus.registry.impact import Impact
from bus.registry.reconciling import Reconciling
from bus.registry.refusals import Refusal
from bus.registry.state import State
from bus.registry.statements import Statements
from bus.registry.store import Store
from bus.registry.trust import Trust
from bus.registry.trust_api import TrustApi
from bus.security import asks_for_password, lacking
from bus.settings import Address, Settings
from bus.startable import Startable
from bus.telemetry import Telemetry
from bus.tokens import Follower
from bus.trust.ledger import Ledger

log = logging.getLogger(__name__)

CLIENT_ID = "stadtbus-registry"


class Registry(Startable):
    """The schema registry.

    Any number of registries may run on one bus, and all of them write.

    Args:
        settings: where to listen, how to reach the bus, and which contracts to put in force.
        telemetry: counts requests and refused schemas.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._settings, self._telemetry = settings, telemetry
        self._running, self._notes = AsyncExitStack(), Notes()
        self._followed = False

    @property
    def address(self) -> Address:
        """Where it really listens; known once started."""
        return self._listener.address

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        return self._listener.url

    @property
    def state(self) -> State:
        """What it knows; for tests and for those in the same process."""
        return self._store.state

    @property
    def ledger(self) -> Ledger:
        """Who is who; for tests and for those in the same process."""
        return self._trust.ledger

    @property
    def statements(self) -> Statements:
        """Hands out and takes statements, for those in the same process."""
        return Statements(self._store, self._trust)

    async def start(self) -> None:
        """Read the journal, put the contracts in force, and answer requests.

        Raises:
            BusUnavailable: the bus cannot be reached.
            AddressInUse, InvalidSettings: the address cannot be listened on.
            InvalidContract: a contract breaks a rule, or a promise made before.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        kafka, enter = self._settings.kafka, self._running.enter_async_context
        contracts = load_all(self._settings.contracts)
        admin = await enter(Admin(kafka))
        producer = await enter(Producer(kafka, client_id=CLIENT_ID))
        reader = await enter(LogReader(kafka, client_id=CLIENT_ID))
        state, trust = State(), Trust()

        def apply(entry: Entry) -> None:
            state.apply(entry)
            trust.apply(entry)
            if self._followed:
                self._show_alarms(trust)

        journal = Journal(producer, reader, admin, apply)
        await journal.open()
        self._followed = True
        self._show_alarms(trust)
        self._store, self._trust = Store(journal, state), trust
        tokens = None
        if kafka.security_protocol != "PLAINTEXT":
            tokens = await enter(Follower(kafka))
            await enter(Reconciling(kafka, self._store, trust.ledger, self._telemetry, tokens))
        doorman = _doorman(self._settings, self._notes, trust, self._telemetry, tokens)
        further = TrustApi(self._store, trust).handlers()
        impact = Impact(state, trust.ledger.grants)
        api = Api(self._store, admin, self._telemetry, impact, further)
        for contract in contracts:
            await self._put_in_force(api, contract)
        application = api.application()
        edge = Edge(application, state, doorman)
        counted = Counted(edge, application.routes, "registry", self._telemetry)
        self._listener = self._listening(counted)
        await self._listener.start()
        self._running.push_async_callback(self._listener.stop)

    def _show_alarms(self, trust: Trust) -> None:
        # Only once all are read: a restart must not look like a growing number.
        self._telemetry.trust_alarms.replace([((), len(trust.ledger.alarms))])

    def _listening(self, app: ASGIApp) -> HttpListener:
        return HttpListener(
            app,
            self._settings.registry,
            name="registry",
            telemetry=self._telemetry,
            notes=self._notes,
            lacking=lacking(self._settings, "registry", embedded=False),
        )

    async def _put_in_force(self, api: Api, contract: Contract) -> None:
        before = self.state.contract(contract.topic)
        if before is not None and len(before["versions"]) > len(contract.versions):
            # A node of an older version must not stop, nor take back what a newer one has said.
            log.info("%s: a later version of the contract is in force", contract.topic)
            return
        try:
            await api.put_in_force(contract)
        except Refusal as refusal:
            raise InvalidContract(refusal.message, where=contract.topic) from refusal

    async def stop(self) -> None:
        """Let requests under way finish, then close the connections."""
        await self._running.aclose()


def _doorman(
    settings: Settings,
    notes: Notes,
    trust: Trust,
    telemetry: Telemetry,
    tokens: Follower | None,
) -> Doorman | None:
    """Return who lets users in: with TLS, by certificates or passwords that the engine knows."""
    kafka, registry = settings.kafka, settings.registry
    by_password = asks_for_password(kafka) and registry.client_certificate != "required"
    if registry.certificate_file is None or not (
        by_password or registry.client_certificate != "none"
    ):
        return None
    writers = {*registry.writers, *settings.broker.super_users}
    if kafka.username is not None:
        writers.add(f"User:{kafka.username}")
    asks = partial(accepts, kafka) if by_password else None
    return Doorman(
        asks, writers, telemetry, notes=notes, locked_out=trust.is_locked_out, tokens=tokens
    )
