"""Who is locked out, by the ledger; and that the engine keeps to it, on open connections too."""

import ssl
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.admin import Access, Rule, TopicSpec
from bus.errors import NotAuthorised
from bus.kafka import Producer, Record, accepts
from bus.registry import Registry, locking
from bus.rest import RestClient
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings
from bus.telemetry import Telemetry
from bus.trust.client import TrustClient
from bus.trust.keys import FileSigner, public_text
from bus.trust.lockout import KINDS, changes, denials, lock_of, locks
from bus.trust.statements import compose
from tests.engine import Engine
from tests.trust.parties import OFFICE, PERLESREUT, RINGELAI, Parties, town
from tests.waiting import until

MELDEWESEN = f"{RINGELAI}.meldewesen"
TOPIC = "lockout.test.v1"


def test_the_ledger_says_who_is_locked_out() -> None:
    bus = town()
    assert bus.attest(f"{PERLESREUT}.gewerbe", PERLESREUT) is None
    assert bus.attest(f"{OFFICE}.bericht", OFFICE) is None
    standing, begun = bus.ledger.standing, bus.at
    assert locks(standing, begun) == {}
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    assert bus.say("system-retired", {"system": f"{OFFICE}.bericht"}, bus.key(OFFICE)) is None
    assert bus.say("member-left", {"member": PERLESREUT}, bus.root) is None
    wanted = {MELDEWESEN: "denied", f"{PERLESREUT}.gewerbe": "gone", f"{OFFICE}.bericht": "gone"}
    assert locks(standing, bus.at) == wanted
    assert locks(standing, begun) == {}
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    assert lock_of(standing, MELDEWESEN, bus.at) is None
    assert lock_of(standing, "admin", bus.at) is None


def test_a_denial_is_of_everything() -> None:
    rules = denials(MELDEWESEN)
    assert [rule.kind for rule in rules] == list(KINDS)
    assert all(rule.operation == "All" and not rule.allow for rule in rules)


def test_what_is_missing_is_added_and_what_is_over_is_removed() -> None:
    bus, ours = town(), sorted(denials(MELDEWESEN))
    standing = bus.ledger.standing
    assert changes(standing, [], bus.at) == ([], [])
    assert bus.say("member-suspended", {"member": RINGELAI}, bus.root) is None
    assert changes(standing, [], bus.at) == (ours, [])
    assert changes(standing, ours[1:], bus.at) == (ours[:1], [])
    assert changes(standing, ours, bus.at) == ([], [])
    assert bus.say("member-resumed", {"member": RINGELAI}, bus.root) is None
    assert changes(standing, ours, bus.at) == ([], ours)


def test_what_an_administrator_denies_by_hand_stays() -> None:
    bus, ours = town(), sorted(denials(MELDEWESEN))
    strangers = denials("somebody")
    assert changes(bus.ledger.standing, ours + strangers, bus.at) == ([], [])
    for kind in ("member-suspended", "member-resumed"):
        assert bus.say(kind, {"member": RINGELAI}, bus.root) is None
    assert changes(bus.ledger.standing, ours[1:] + strangers, bus.at) == ([], [])


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """The file of the authority that signed the registry's certificate, which lies beside it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "registry-ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "registry.pem")
    return tmp_path / "registry-ca.pem"


@pytest.fixture
async def registry(
    denying: Engine, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Registry]:
    monkeypatch.setattr(locking, "ANEW", 0.1)
    monkeypatch.setattr(locking, "LOOKING", 0.05)
    listen = Address(host="127.0.0.1", port=0)
    given = RegistrySettings(listen=listen, certificate_file=ca.with_name("registry.pem"))
    async with Registry(Settings(kafka=denying.settings, registry=given), Telemetry()) as running:
        yield running


class City:
    """A member with a system, at a registry that asks who is there; other tests may use it, too."""

    def __init__(self, client: TrustClient, system: str) -> None:
        self._client, self._parties = client, Parties()
        self.root = self._parties.root
        self.system, self.member = system, system.rpartition(".")[0]

    async def say(self, kind: str, says: dict[str, Any], *signers: FileSigner) -> None:
        """Hand in a statement."""
        ledger = await self._client.follow()
        said = compose(ledger.chain, kind, says, issued=datetime.now(UTC)).signed(*signers)
        await self._client.hand_in(said)

    async def begin(self) -> None:
        """Name the root if nobody has, and admit the member and its system."""
        parties = self._parties
        parties.now = datetime.now(UTC).replace(microsecond=0)
        if (await self._client.follow()).standing.root is None:
            await self.say("root", {"public": public_text(self.root.public)}, self.root)
        for name in (self.member, self.system):
            parties.keys[name] = FileSigner(Ed25519PrivateKey.generate())
        await self.say("member", parties.admission(self.member), self.root)
        key = parties.new_key(parties.key(self.system))
        await self.say("system", {"system": self.system, "key": key}, parties.key(self.member))


@pytest.fixture
def name() -> str:
    """A system that no other test has."""
    return f"de.util.u{uuid.uuid4().hex}.anlage"


@pytest.fixture
async def system(denying: Engine, name: str) -> KafkaSettings:
    """How the system reaches the engine, where it may write to a topic."""
    settings = await denying.secure.add_user(name)
    async with Access(denying.settings) as access:
        await access.ensure_topic(TopicSpec(name=TOPIC, partitions=1))
        await access.add_rules([Rule(user=name, kind="topic", name=TOPIC, operation="Write")])
    return settings


@pytest.mark.slow
async def test_an_open_connection_feels_it_at_its_next_request(
    denying: Engine, registry: Registry, ca: Path, system: KafkaSettings, name: str
) -> None:
    user, password = denying.settings.login()
    rest = RestClient(registry.url, login=(user, password), ca_file=ca)
    async with TrustClient(rest) as client, Producer(system) as producer:
        city = City(client, name)
        await city.begin()

        async def may() -> bool:
            try:
                await producer.append(TOPIC, 0, [Record(None, b"x")], timeout=10)
            except NotAuthorised:
                return False
            return True

        async def may_not() -> bool:
            return not await may()

        await until(may)
        await city.say("member-suspended", {"member": city.member}, city.root)
        await until(may_not)
        assert await accepts(denying.settings, *system.login())  # it keeps its password
        await city.say("member-resumed", {"member": city.member}, city.root)
        await until(may)
        await city.say("system-retired", {"system": name}, city.root)
        await until(may_not)

        async def shut_out() -> bool:
            return not await accepts(denying.settings, *system.login())

        await until(shut_out)
        await _comes_back(denying, name)


async def _comes_back(denying: Engine, name: str) -> None:
    """A denial that somebody takes out of force is put back."""
    async with Access(denying.settings) as access:

        async def denied() -> bool:
            return set(denials(name)) <= set(await access.rules())

        await until(denied)


@pytest.mark.slow
async def test_the_registry_answers_no_more_either(
    denying: Engine, registry: Registry, ca: Path, system: KafkaSettings, name: str
) -> None:
    """Though it remembers that the password was right."""
    rest = RestClient(registry.url, login=denying.settings.login(), ca_file=ca)
    context = ssl.create_default_context(cafile=str(ca))
    async with (
        TrustClient(rest) as client,
        httpx.AsyncClient(
            base_url=registry.url, verify=context, auth=system.login(), trust_env=False
        ) as http,
    ):
        city = City(client, name)
        await city.begin()
        assert (await http.get("/subjects")).status_code == 200
        await city.say("member-suspended", {"member": city.member}, city.root)
        answer = await http.get("/subjects")
        assert (answer.status_code, answer.json()["error_code"]) == (403, 40303)
