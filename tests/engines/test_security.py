"""Security: who gets in, and what they may do once they are in."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from kio.schema.errors import ErrorCode

from bus.settings import Address, KafkaSettings
from ops.kafka import Cluster
from tests.broker.raw import Raw
from tests.engine import Engine
from tests.engines.asked import ASKED, TOKENS, UNSERVED, WITHOUT
from tests.engines.deviations import differs
from tests.engines.login import SCRAM, authenticate, encrypted, log_in, shake_hands
from tests.engines.rights import REFUSED, TOPIC, Asked, errors, whole
from tests.secured import SecuredBroker
from tests.waiting import until

Secure = Cluster | SecuredBroker

FAILED = ErrorCode.sasl_authentication_failed
DEADLINE = 20.0  # seconds
VERSIONS = {"client_software_name": "tests", "client_software_version": "1"}

VERSION_OF = (
    {asked.key: asked.version for asked in ASKED}
    | {key: version for key, (_, version) in TOKENS.items()}
    | {16: 4, 36: 2, 60: 1, 66: 1}
)
"""Every API but those with which a connection begins, and a version of it."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other; each secured."""
    secured = {"embedded": "embedded_secure", "kafka": "kafka_secure"}
    chosen: Engine = request.getfixturevalue(secured[request.param])
    return chosen


@pytest.fixture(scope="module")
def secure(engine: Engine) -> Secure:
    """What runs with TLS, SCRAM-SHA-512 and default deny."""
    return engine.secure


@pytest.fixture(scope="module")
def nobody(secure: Secure) -> KafkaSettings:
    """How to reach it as a user without any right."""
    return asyncio.run(secure.add_user("nobody"))


@pytest.fixture
def address(secure: Secure) -> Address:
    """Where it listens."""
    return Address.parse(secure.bootstrap)


@pytest.fixture
async def raw(secure: Secure, address: Address) -> AsyncIterator[Raw]:
    """An encrypted connection on which nobody has logged in yet."""
    assert secure.ca_file is not None
    async with await encrypted(address, secure.ca_file) as connection:
        yield connection


@pytest.fixture
async def known(raw: Raw, nobody: KafkaSettings) -> Raw:
    """An encrypted connection of the user without any right."""
    assert (await log_in(raw, *nobody.login())).error_code == 0
    return raw


@pytest.fixture
def administrator(secure: Secure) -> AdminClient:
    """A client that may do everything."""
    user, password = secure.settings.login()
    return AdminClient(
        {
            "bootstrap.servers": secure.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": SCRAM,
            "sasl.username": user,
            "sasl.password": password,
            "ssl.ca.location": str(secure.ca_file),
        }
    )


class TestLogin:
    """Who gets in."""

    async def test_the_right_password(self, raw: Raw, nobody: KafkaSettings) -> None:
        """With the right password one gets in, and the engine proves that it knows it too."""
        last = await log_in(raw, *nobody.login())
        assert last.error_code == 0
        assert (await raw.ask(18, 3, **VERSIONS)).error_code == 0

    @pytest.mark.parametrize("user", ["nobody", "stranger"], ids=["known user", "unknown user"])
    async def test_the_wrong_password(
        self, known: Raw, address: Address, secure: Secure, user: str
    ) -> None:
        """A wrong password and an unknown user are refused alike, and the connection closed."""
        assert secure.ca_file is not None
        async with await encrypted(address, secure.ca_file) as raw:
            told = await log_in(raw, user, "wrong")
            assert told.error_code is FAILED
            assert told.error_message == (
                "Authentication failed during authentication due to invalid credentials "
                "with SASL mechanism SCRAM-SHA-512"
            )
            assert await raw.answer() == b""

    @pytest.mark.parametrize(
        "mechanism", ["PLAIN", "SCRAM-SHA-256", "GSSAPI", "OAUTHBEARER", "nonsense", ""]
    )
    async def test_other_mechanisms(self, raw: Raw, mechanism: str) -> None:
        """A mechanism that is not switched on is refused, and those that are are named."""
        told = await shake_hands(raw, mechanism)
        assert told.error_code is ErrorCode.unsupported_sasl_mechanism
        assert told.mechanisms == (SCRAM,)
        raw.send(18, 3, **VERSIONS)
        assert await raw.answer() == b""

    async def test_what_is_no_login(self, raw: Raw) -> None:
        """What is no message of the mechanism is refused like a wrong password."""
        await shake_hands(raw, SCRAM)
        assert (await authenticate(raw, b"garbage")).error_code is FAILED

    async def test_before_the_login(self, raw: Raw) -> None:
        """Before the login the versions are told, and nothing else."""
        assert (await raw.ask(18, 3, **VERSIONS)).error_code == 0
        raw.send(3, 9, **whole(3, 9, {}))
        assert await raw.answer() == b""

    @pytest.mark.parametrize(
        ("key", "version"),
        [pytest.param(key, version, id=str(key)) for key, version in sorted(VERSION_OF.items())],
    )
    async def test_each_api_before_the_login(self, raw: Raw, key: int, version: int) -> None:
        """Who has not logged in is served by no API, and cut off."""
        assert await hung_up(raw, key, version)

    async def test_a_second_login(self, known: Raw) -> None:
        """Who has logged in cannot log in as somebody else."""
        told = await shake_hands(known, SCRAM)
        assert told.error_code is ErrorCode.illegal_sasl_state

    async def test_without_encryption(self, address: Address) -> None:
        """Who does not speak TLS gets no answer."""
        async with await Raw.to(address) as raw:
            raw.send(18, 3, **VERSIONS)
            assert await raw.answer() == b""

    async def test_the_certificate(self, secure: Secure, address: Address, tmp_path: Path) -> None:
        """The certificate is that of the address, and leads to the authority given."""
        assert secure.ca_file is not None
        with pytest.raises(ssl.SSLCertVerificationError, match=r"for 'elsewhere\.test'"):
            await encrypted(address, secure.ca_file, name="elsewhere.test")
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            await encrypted(address, other)

    async def test_clients(self, secure: Secure, administrator: AdminClient) -> None:
        """aiokafka and confluent-kafka get in with TLS and SCRAM-SHA-512."""
        user, password = secure.settings.login()
        producer = AIOKafkaProducer(
            bootstrap_servers=secure.bootstrap,
            security_protocol="SASL_SSL",
            sasl_mechanism=SCRAM,
            sasl_plain_username=user,
            sasl_plain_password=password,
            ssl_context=ssl.create_default_context(cafile=str(secure.ca_file)),
        )
        async with asyncio.timeout(DEADLINE), producer:
            assert producer.client.cluster.brokers()
        found = await asyncio.to_thread(administrator.list_topics, timeout=DEADLINE)
        assert len(found.brokers) == 1


def unserved(engine: Engine, key: int) -> bool:
    """Say whether an API is one that the embedded broker does not serve."""
    return engine.name == "embedded" and key in UNSERVED


def differing(said: str, key: int, *values: Any) -> Any:
    """Return a parameter for an API, marked if the embedded broker does not serve it."""
    marks = [differs(f"not served: {UNSERVED[key]}")] if key in UNSERVED else []
    return pytest.param(*values, id=said, marks=marks)


def each(*, only_with_right: bool = False) -> list[Any]:
    """Return every request as a parameter."""
    return [
        differing(f"{asked.said} ({asked.on.name.lower()})", asked.key, asked)
        for asked in ASKED
        if asked.needs is not None or not only_with_right
    ]


async def hung_up(raw: Raw, key: int, version: int) -> bool:
    """Ask what is not served; say whether the connection was closed."""
    raw.send(key, version, **whole(key, version, {}))
    return await raw.answer() == b""


async def told(raw: Raw, asked: Asked) -> set[ErrorCode]:
    """Ask, and return all errors that are answered."""
    fields = whole(asked.key, asked.version, asked.fields)
    return errors(await raw.ask(asked.key, asked.version, **fields))


async def served(raw: Raw, asked: Asked) -> bool:
    """Say whether an answer has no error that tells of a right that is missing."""
    return REFUSED[asked.on] not in await told(raw, asked)


async def refused(raw: Raw, asked: Asked) -> bool:
    """Say whether an answer tells of a right that is missing."""
    return not await served(raw, asked)


@asynccontextmanager
async def ruled(administrator: AdminClient, rule: AclBinding) -> AsyncIterator[None]:
    """Have a rule for a while."""
    await asyncio.to_thread(administrator.create_acls([rule])[rule].result, DEADLINE)
    try:
        yield
    finally:
        gone = filtering(rule)
        await asyncio.to_thread(administrator.delete_acls([gone])[gone].result, DEADLINE)


class TestRights:
    """What they may do once they are in: nothing, unless a rule allows it."""

    @pytest.fixture(autouse=True)
    async def made(self, secure: Secure, address: Address) -> None:
        """Make the topic that all want to use."""
        assert secure.ca_file is not None
        async with await encrypted(address, secure.ca_file) as raw:
            await log_in(raw, *secure.settings.login())
            assert (await raw.create(TOPIC)).error_code in {0, ErrorCode.topic_already_exists}
            await raw.usable(TOPIC)

    @differs("an API that is not served is not offered")
    async def test_every_api_is_tried(self, raw: Raw, engine: Engine) -> None:
        """Every API needs a right, apart from those that all may use."""
        served = {one.api_key for one in (await raw.ask(18, 3, **VERSIONS)).api_keys}
        kafka = {asked.key for asked in ASKED} | set(TOKENS) | set(WITHOUT)
        assert served == {key for key in kafka if not unserved(engine, key)}

    @pytest.mark.parametrize("asked", each())
    async def test_without_the_right(self, known: Raw, engine: Engine, asked: Asked) -> None:
        """Who has no right is refused by each API with the error of what it lacks a right on."""
        if unserved(engine, asked.key):
            assert await hung_up(known, asked.key, asked.version)
            return
        assert await told(known, asked) == {REFUSED[asked.on]}

    @pytest.mark.parametrize("asked", each(only_with_right=True))
    async def test_with_the_right(
        self, known: Raw, administrator: AdminClient, engine: Engine, asked: Asked
    ) -> None:
        """A rule lets one use the API, and when it is gone one is refused again."""
        assert asked.needs is not None
        if unserved(engine, asked.key):
            assert await hung_up(known, asked.key, asked.version)
            return
        rule = allowed(asked.on, asked.name, asked.needs)
        async with ruled(administrator, rule):
            await until(lambda: served(known, asked))
        await until(lambda: refused(known, asked))

    @pytest.mark.parametrize(
        ("key", "version"),
        [differing(said, key, key, version) for key, (said, version) in TOKENS.items()],
    )
    async def test_tokens(self, known: Raw, engine: Engine, key: int, version: int) -> None:
        """Nobody gets a token to log in with: tokens are switched off."""
        if unserved(engine, key):
            assert await hung_up(known, key, version)
            return
        known.send(key, version, **whole(key, version, {}))
        # Read by hand: an answer without a token has times before 1970 in it.
        error = (await known.answer())[5:7]
        assert ErrorCode(int.from_bytes(error)) is ErrorCode.delegation_token_auth_disabled

    async def test_a_prefix(self, known: Raw, administrator: AdminClient) -> None:
        """A rule may be for all names that begin alike; a rule that denies goes before it."""
        (asked,) = [one for one in ASKED if one.said == "offsets"]
        prefix = allowed(asked.on, TOPIC[:5], AclOperation.DESCRIBE, prefixed=True)
        denied = allowed(asked.on, TOPIC, AclOperation.DESCRIBE, permission=AclPermissionType.DENY)

        async with ruled(administrator, prefix):
            await until(lambda: served(known, asked))
            async with ruled(administrator, denied):
                await until(lambda: refused(known, asked))
        await until(lambda: refused(known, asked))

    async def test_what_one_sees(self, known: Raw) -> None:
        """Lists leave out what one may not see; where the brokers are all may know."""
        metadata = await known.ask(3, 9, **whole(3, 9, {"topics": None}))
        assert (metadata.topics, len(metadata.brokers)) == ((), 1)
        groups = await known.ask(16, 4, **whole(16, 4, {}))
        assert (groups.error_code, groups.groups) == (0, ())
        transactions = await known.ask(66, 1, **whole(66, 1, {"duration_filter": -1}))
        assert (transactions.error_code, transactions.transaction_states) == (0, ())
        cluster = await known.ask(60, 1, **whole(60, 1, {"endpoint_type": 1}))
        assert (cluster.error_code, len(cluster.brokers)) == (0, 1)


def allowed(
    on: ResourceType,
    name: str,
    operation: AclOperation,
    *,
    prefixed: bool = False,
    permission: AclPermissionType = AclPermissionType.ALLOW,
) -> AclBinding:
    """Return a rule for the user without any right."""
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return AclBinding(on, name, pattern, "User:nobody", "*", operation, permission)


def filtering(rule: AclBinding) -> Any:
    """Return what finds this rule alone."""
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )
