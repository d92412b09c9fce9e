"""Security: what an engine offers, whether anybody has logged in or not.

Most is asked on the plain listeners: these APIs are served, and these settings are there, whether
a listener is secured or not.
"""

import asyncio
import re
import ssl
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from kio.schema.errors import ErrorCode
from pydantic import BaseModel

from bus.broker import ApiKey
from bus.settings import Address, Settings
from tests.broker.raw import Raw
from tests.engine import Engine
from tests.engines.rights import whole


async def offered(raw: Raw) -> set[int]:
    """Return the keys of all APIs that are served."""
    about = {"client_software_name": "tests", "client_software_version": "1"}
    answer = await raw.ask(ApiKey.API_VERSIONS, 3, **about)
    return {one.api_key for one in answer.api_keys}


@pytest.mark.parametrize(
    "key",
    [pytest.param(17, id="SaslHandshake"), pytest.param(36, id="SaslAuthenticate")],
)
async def test_login(raw: Raw, key: int) -> None:
    """One can log in."""
    assert key in await offered(raw)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(29, id="DescribeAcls"),
        pytest.param(30, id="CreateAcls"),
        pytest.param(31, id="DeleteAcls"),
    ],
)
async def test_rules(raw: Raw, key: int) -> None:
    """Rules who may do what can be asked for, made and deleted."""
    assert key in await offered(raw)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(50, id="DescribeUserScramCredentials"),
        pytest.param(51, id="AlterUserScramCredentials"),
    ],
)
async def test_users(raw: Raw, key: int) -> None:
    """Users and their passwords can be described and altered."""
    assert key in await offered(raw)


async def test_login_in_clear_text(raw: Raw) -> None:
    """Where nobody has to log in, nobody can."""
    for version in (0, 1):
        told = await raw.ask(17, version, mechanism="PLAIN")
        assert (told.error_code, told.mechanisms) == (ErrorCode.illegal_sasl_state, ())
    told = await raw.ask(36, 2, auth_bytes=b"\0admin\0secret")
    assert told.error_code is ErrorCode.illegal_sasl_state


async def test_rules_without_security(raw: Raw) -> None:
    """Where everybody may do everything, there are no rules, and nobody can make any."""
    anything = {"resource_type_filter": 1, "pattern_type_filter": 1, "operation": 1}
    told = await raw.ask(29, 3, **whole(29, 3, anything | {"permission_type": 1}))
    assert (told.error_code, told.resources) == (ErrorCode.security_disabled, ())
    rule = {
        "resource_type": 2,
        "resource_name": "x",
        "resource_pattern_type": 3,
        "principal": "User:x",
        "host": "*",
        "operation": 3,
        "permission_type": 3,
    }
    told = await raw.ask(30, 3, creations=[rule])
    assert [one.error_code for one in told.results] == [ErrorCode.security_disabled]
    told = await raw.ask(31, 3, **whole(31, 3, {"filters": [anything | {"permission_type": 1}]}))
    assert [one.error_code for one in told.filter_results] == [ErrorCode.security_disabled]


ENCRYPTING = re.compile(r"tls|ssl|secur|cert|key_?(file|store)")
"""What a setting is called with which an engine is told to encrypt."""

DEADLINE = 20.0  # seconds


def settings_of(engine: Engine) -> Iterator[str]:
    """Yield the names of all that an engine can be told before it starts."""
    if engine.cluster is None:
        # How clients reach an engine is told elsewhere; this is all else that a node can be told.
        yield from names(Settings, leaving="kafka")
        return
    (broker, *_) = engine.cluster.brokers
    client = AdminClient({"bootstrap.servers": engine.settings.bootstrap})
    asked = ConfigResource(ResourceType.BROKER, str(broker.id))
    (told,) = client.describe_configs([asked]).values()
    yield from told.result(DEADLINE)


def names(section: type[BaseModel], *, leaving: str = "") -> Iterator[str]:
    """Yield the names of all settings of a section, and of those inside it."""
    for name, field in section.model_fields.items():
        if name == leaving:
            continue
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from names(field.annotation)


def test_settings(engine: Engine) -> None:
    """One can give it a certificate and a key, to encrypt what is sent."""
    assert [name for name in settings_of(engine) if ENCRYPTING.search(name)]


class TestHandshake:
    """Of a listener that is secured."""

    @pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
    def engine(self, request: pytest.FixtureRequest) -> Engine:
        """One engine after the other; each secured."""
        secured = {"embedded": "embedded_secure", "kafka": "kafka_secure"}
        chosen: Engine = request.getfixturevalue(secured[request.param])
        return chosen

    async def test_handshake(self, address: Address) -> None:
        """A listener answers TLS."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        async with asyncio.timeout(DEADLINE):
            connection = await asyncio.open_connection(address.host, address.port, ssl=trusting)
        async with Raw(*connection) as raw:
            assert raw.writer.get_extra_info("cipher")
