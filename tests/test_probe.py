"""What is said of an address that does not answer as the settings say, with a remedy."""

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

import bus.probe as module
from bus.admin import Admin, TopicSpec
from bus.broker import Broker
from bus.errors import BusError, BusUnavailable, InvalidSettings, NotAuthenticated, NotAuthorised
from bus.kafka import LogReader, Producer
from bus.probe import probe
from bus.settings import KafkaSettings
from ops.kafka import cluster
from tests.engine import Engine
from tests.strangers import Serve, closes, http, listening, says, silent, versions
from tests.waiting import disconnected

Listen = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed sooner than a user would."""
    monkeypatch.setattr(module, "SECONDS", 1.0)


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Start a server that is no engine, or an odd one; return its address."""
    async with AsyncExitStack() as running:

        async def start(serve: Serve, context: ssl.SSLContext | None = None) -> str:
            return await running.enter_async_context(listening(serve, context))

        yield start


@pytest.mark.parametrize(
    ("serve", "error", "sentence"),
    [
        pytest.param(http, BusUnavailable, "answers in HTTP: this is no Kafka", id="http"),
        pytest.param(silent, BusUnavailable, "takes connections, but gives no answer", id="silent"),
        pytest.param(closes, BusUnavailable, "closes the connection instead", id="closes"),
        pytest.param(says(b"220 mail\r\n"), BusUnavailable, "not Kafka's protocol", id="smtp"),
        pytest.param(says(b"\0\0\0\4\0\0\0\7"), BusUnavailable, "not Kafka's", id="another's id"),
        pytest.param(says(b"\0\0\0\6\0\0\0\1ab"), BusUnavailable, "not Kafka's", id="too short"),
        pytest.param(says(b"\x7f\xff\xff\xff\0\0\0\1"), BusUnavailable, "not Kafka's", id="huge"),
        pytest.param(
            versions(produce=2, fetch=3), InvalidSettings, "too old: Produce version 3", id="0.10"
        ),
        pytest.param(
            versions(produce=8, fetch=11, init_producer_id=1, create_topics=3),
            InvalidSettings,
            "too old: CreateTopics version 4 is needed, and it serves versions up to 3",
            id="2.3",
        ),
        pytest.param(
            versions(produce=8, fetch=11, create_topics=5),
            InvalidSettings,
            "InitProducerId version 0 is needed, and it does not serve it",
            id="no numbered producers",
        ),
    ],
)
async def test_what_is_no_engine(
    listen: Listen, serve: Serve, error: type[BusError], sentence: str
) -> None:
    address = await listen(serve)
    await refused(KafkaSettings(bootstrap=address), error, sentence)


async def test_an_old_engine_that_will_do(listen: Listen) -> None:
    serve = versions(produce=7, fetch=11, init_producer_id=1, create_topics=4)
    await probe(KafkaSettings(bootstrap=await listen(serve)))


async def test_what_speaks_tls_and_is_no_kafka(listen: Listen, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    address = await listen(http, context)
    authority.cert_pem.write_to_path(ca := tmp_path / "ca.pem")
    asked = KafkaSettings(bootstrap=address, security_protocol="SSL", ca_file=ca)
    await refused(asked, BusUnavailable, "answers in HTTP")
    await refused(KafkaSettings(bootstrap=address), InvalidSettings, "it speaks TLS")


async def test_what_fails_in_tls_is_no_kafka(listen: Listen) -> None:
    address = await listen(http)
    asked = KafkaSettings(bootstrap=address, security_protocol="SSL")
    await refused(asked, BusUnavailable, "TLS fails")


@pytest.mark.kafka
async def test_a_certificate_of_ours_that_is_wanted(kafka_secure: Engine) -> None:
    """As the controllers' listener of a secure cluster wants one."""
    assert kafka_secure.cluster is not None
    properties = kafka_secure.cluster.folder / "broker-1" / "server.properties"
    found = re.search(r"CONTROLLER://(\S+)", properties.read_text(encoding="utf-8"))
    assert found is not None
    changes = {"bootstrap": found[1], "security_protocol": "SSL"}
    asked = kafka_secure.settings.model_copy(update=changes)
    await refused(asked, NotAuthenticated, "wants a certificate of ours")


async def test_a_name_that_is_none() -> None:
    asked = KafkaSettings(bootstrap="no.such.host.invalid:9092")
    await refused(asked, BusUnavailable, "no broker answers")


@pytest.mark.parametrize("host", ["foo..bar", "a" * 70 + ".example"])
async def test_a_name_that_no_host_can_have(host: str) -> None:
    await refused(KafkaSettings(bootstrap=f"{host}:9092"), InvalidSettings, "no host's name")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        pytest.param({"ca_file": "missing.pem"}, "kafka.ca_file", id="a CA that is not there"),
        pytest.param({"ca_file": __file__}, "kafka.ca_file", id="a CA that is no PEM"),
        pytest.param({"key_file": __file__}, "kafka.key_file", id="a key without certificate"),
        pytest.param({"security_protocol": "SASL_SSL"}, "kafka.username", id="nobody logs in"),
        pytest.param(
            {"security_protocol": "SASL_SSL", "username": ""}, "kafka.username", id="no name"
        ),
    ],
)
@pytest.mark.parametrize("client", [Producer, Admin])
async def test_settings_that_cannot_be_used_are_named_by_every_client(
    listen: Listen, given: dict[str, Any], where: str, client: Callable[[KafkaSettings], Any]
) -> None:
    asked = KafkaSettings(
        **{"bootstrap": await listen(silent), "security_protocol": "SSL", **given}
    )
    with pytest.raises(InvalidSettings) as raised:
        async with client(asked) as connected:
            await connected.topics()
    assert where in raised.value.where
    assert raised.value.remedy


async def test_one_address_that_answers_is_enough(broker: Broker, listen: Listen) -> None:
    addresses = ["127.0.0.1:1", await listen(http), str(broker.address)]
    await probe(KafkaSettings(bootstrap=",".join(addresses)))


async def test_a_wrong_setting_tells_more_than_a_broker_that_is_away(broker: Broker) -> None:
    addresses = f"127.0.0.1:1,{broker.address}"
    asked = KafkaSettings(bootstrap=addresses, security_protocol="SSL")
    await refused(asked, InvalidSettings, "it speaks Kafka without TLS")


async def test_no_login_on_the_embedded_broker(broker: Broker, secret: Path) -> None:
    asked = KafkaSettings(bootstrap=str(broker.address), **login("SASL_PLAINTEXT", secret))
    await refused(asked, InvalidSettings, "asks for no login")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with a password that no engine knows."""
    file = tmp_path / "password"
    file.write_text("wrong\n", encoding="utf-8")
    return file


def login(protocol: str, secret: Path) -> dict[str, Any]:
    return {"security_protocol": protocol, "username": "admin", "password_file": secret}


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        pytest.param(
            {"security_protocol": "PLAINTEXT"}, InvalidSettings, "it speaks TLS", id="no TLS"
        ),
        pytest.param({"security_protocol": "SASL_PLAINTEXT"}, InvalidSettings,
            "it speaks TLS, but kafka.security_protocol is SASL_PLAINTEXT", id="login without TLS"),
        pytest.param(
            {"security_protocol": "SSL"},
            InvalidSettings,
            "asks for a login by SCRAM-SHA-512",
            id="no login",
        ),
        pytest.param({"ca_file": None}, NotAuthenticated, "cannot be verified", id="no CA"),
        pytest.param(
            {"sasl_mechanism": "PLAIN"},
            NotAuthenticated,
            "offers a login by SCRAM-SHA-512, not by PLAIN",
            id="another mechanism",
        ),
    ],
)  # fmt: skip
async def test_a_secure_engine_that_is_asked_wrongly(
    kafka_secure: Engine, changes: dict[str, Any], error: type[BusError], sentence: str
) -> None:
    await refused(kafka_secure.settings.model_copy(update=changes), error, sentence)


@pytest.mark.kafka
@pytest.mark.parametrize("client", [Producer, LogReader, Admin])
async def test_a_wrong_password_is_named_by_every_client(
    kafka_secure: Engine, secret: Path, client: Callable[[KafkaSettings], Any]
) -> None:
    asked = kafka_secure.settings.model_copy(update={"password_file": secret})
    with pytest.raises(NotAuthenticated, match="login was refused") as raised:
        async with client(asked) as connected:
            await connected.topics()
    await disconnected()
    assert raised.value.where == asked.bootstrap
    assert "kafka.password_file" in raised.value.remedy


@pytest.fixture
async def nobody(kafka_secure: Engine) -> KafkaSettings:
    """A user of the secure engine without any right."""
    assert kafka_secure.cluster is not None
    return await kafka_secure.cluster.add_user("probe-nobody")


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("ask", "right"),
    [
        pytest.param(
            lambda admin: admin.ensure_topic(TopicSpec(name="forbidden", partitions=1)),
            "Create on the topic forbidden",
            id="make a topic",
        ),
        pytest.param(
            lambda admin: admin.see("forbidden"), "Describe on the topic forbidden", id="see one"
        ),
        pytest.param(
            lambda admin: admin.configs("forbidden"),
            "DescribeConfigs on the topic forbidden",
            id="see its configuration",
        ),
        pytest.param(
            lambda admin: admin.delete_topic("forbidden"),
            "Delete on the topic forbidden",
            id="delete it",
        ),
        pytest.param(
            lambda admin: admin.describe_group("forbidden"),
            "Describe on the group forbidden",
            id="see a group",
        ),
        pytest.param(
            lambda admin: admin.group_offsets("forbidden"),
            "Describe on the group forbidden",
            id="see its positions",
        ),
        pytest.param(
            lambda admin: admin.set_password("somebody", "x"),
            "Alter on the cluster",
            id="make a user",
        ),
    ],
)
async def test_rights_that_are_missing_are_named(
    nobody: KafkaSettings, ask: Callable[[Admin], Awaitable[Any]], right: str
) -> None:
    async with Admin(nobody) as admin:
        with pytest.raises(NotAuthorised) as raised:
            await ask(admin)
    _assert_lacks(raised.value, right, nobody)


@pytest.mark.kafka
@pytest.mark.parametrize("there", [True, False], ids=["it exists", "it does not"])
async def test_a_topic_that_is_hidden_is_not_said_to_be_missing(
    kafka_secure: Engine, nobody: KafkaSettings, there: bool
) -> None:
    name = f"hidden.{there}"
    if there:
        async with Admin(kafka_secure.settings) as admin:
            await admin.ensure_topic(TopicSpec(name=name, partitions=1))
    async with LogReader(nobody) as reader:
        with pytest.raises(NotAuthorised) as raised:
            await reader.bounds(name)
    _assert_lacks(raised.value, f"Describe on the topic {name}", nobody)


def _assert_lacks(error: NotAuthorised, right: str, user: KafkaSettings) -> None:
    assert error.what == f"the user {user.username} lacks the right {right}"
    assert error.where == user.bootstrap
    assert f"administrator grant {right} to {user.username}; docs/kafka.md" in error.remedy
    assert error.exit_code == 5


@pytest.mark.kafka
@pytest.mark.usefixtures("apache")
async def test_more_copies_than_brokers_are_named(tmp_path: Path) -> None:
    async with cluster(tmp_path, configs={"default.replication.factor": "3"}) as running:
        spec = TopicSpec(name="copied", partitions=1)
        for factor, asked in (
            (-1, "kafka.replication_factor is not set, and the cluster's own is more"),
            (3, "kafka.replication_factor is 3"),
        ):
            wrong = running.settings.model_copy(update={"replication_factor": factor})
            async with Admin(wrong) as admin:
                with pytest.raises(InvalidSettings) as raised:
                    await admin.ensure_topic(spec)
            assert raised.value.where == running.bootstrap
            assert f"the topic copied cannot have as many copies: {asked}" in raised.value.what
            assert raised.value.what.endswith(", and there is 1 broker")
            assert "set kafka.replication_factor to 1 at the most" in raised.value.remedy
            lowered = "default.replication.factor" in raised.value.remedy
            assert lowered == (factor == -1), "the cluster's own is named where it was asked for"
        one = running.settings.model_copy(update={"replication_factor": 1})
        async with Admin(one) as admin:
            assert await admin.ensure_topic(spec)


async def refused(kafka: KafkaSettings, error: type[BusError], sentence: str) -> None:
    """Assert that the address is refused so, with the address and a remedy."""
    with pytest.raises(BusError) as raised:
        await probe(kafka)
    assert type(raised.value) is error
    assert sentence in raised.value.what
    assert raised.value.where in kafka.bootstrap.split(",")
    assert raised.value.remedy
