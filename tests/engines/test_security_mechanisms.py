"""Security: each mechanism that one can choose in the settings, through our own clients."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from bus.admin import Admin, TopicSpec
from bus.errors import NotAuthenticated
from bus.kafka import Producer, Record
from bus.settings import KafkaSettings
from ops.kafka import Cluster
from tests.engine import Engine, apache_kafka
from tests.engines.deviations import differs
from tests.secured import ADMINISTRATOR, SecuredBroker
from tests.waiting import disconnected, until

Secure = Cluster | SecuredBroker

DEADLINE = 20.0  # seconds

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
MECHANISMS: tuple[Mechanism, ...] = get_args(
    KafkaSettings.model_fields["sasl_mechanism"].annotation
)
USERS = {mechanism: f"by-{mechanism.lower()}" for mechanism in MECHANISMS}
"""A user for each mechanism, who can log in by no other."""

SCRAM: dict[Mechanism, ScramMechanism] = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}
"""Mechanisms whose users the cluster keeps; those of PLAIN stand in a broker's own settings."""

PASSWORD = secrets.token_urlsafe(24)
CONFIGS = {
    "sasl.enabled.mechanisms": ",".join(MECHANISMS),
    "listener.name.sasl_ssl.plain.sasl.jaas.config": (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'user_{USERS["PLAIN"]}="{PASSWORD}";'
    ),
    "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    # Who gets in is what is tried here, not what they may do then.
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One engine after the other; a Kafka of its own, which takes every mechanism."""
    if request.param == "embedded":
        everybody = (ADMINISTRATOR, *USERS.values())
        with SecuredBroker(
            tmp_path_factory.mktemp("mechanisms"),
            sasl_mechanisms=MECHANISMS,
            super_users=tuple(f"User:{name}" for name in everybody),
        ) as broker:
            yield Engine(name="embedded", settings=broker.settings, secured=broker)
        return
    request.getfixturevalue("apache")
    data = tmp_path_factory.mktemp("mechanisms")
    with apache_kafka(data, secure=True, configs=CONFIGS) as engine:
        yield engine


@pytest.fixture(scope="module")
def secure(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Secure:
    """What takes every mechanism, and knows the user of each."""
    asyncio.run(acquaint(engine.secure, tmp_path_factory.mktemp("users")))
    return engine.secure


def user(
    cluster: Secure, folder: Path, mechanism: Mechanism, password: str, *, name: str = ""
) -> KafkaSettings:
    """Return how to reach the cluster as the user of a mechanism, or another, by this mechanism."""
    file = folder / secrets.token_hex(8)
    file.write_text(password, encoding="utf-8")
    return cluster.settings.model_copy(
        update={
            "sasl_mechanism": mechanism,
            "username": name or USERS[mechanism],
            "password_file": file,
        }
    )


async def acquaint(cluster: Secure, folder: Path) -> None:
    """Make the users of both SCRAM mechanisms; return once the cluster lets everybody in."""
    name, password = cluster.settings.login()
    client = AdminClient(
        {
            "bootstrap.servers": cluster.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": cluster.settings.sasl_mechanism,
            "sasl.username": name,
            "sasl.password": password,
            "ssl.ca.location": str(cluster.ca_file),
        }
    )
    kinds: dict[Mechanism, ScramMechanism] = dict(SCRAM)
    if isinstance(cluster, SecuredBroker):
        kinds["PLAIN"] = ScramMechanism.SCRAM_SHA_512  # what knows the password is a credential
    wanted = [
        UserScramCredentialUpsertion(
            USERS[mechanism], ScramCredentialInfo(kind, 4096), PASSWORD.encode()
        )
        for mechanism, kind in kinds.items()
    ]
    for altered in client.alter_user_scram_credentials(wanted).values():
        await asyncio.to_thread(altered.result, DEADLINE)
    for mechanism in MECHANISMS:
        known = user(cluster, folder, mechanism, PASSWORD)
        await until(partial(let_in, known))


async def let_in(known: KafkaSettings) -> bool:
    """Say whether the cluster lets a user in; it learns of a new one a little later."""
    try:
        async with Admin(known) as admin:
            return bool(await admin.brokers())
    except NotAuthenticated:
        return False


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_the_right_password(
    secure: Secure, tmp_path: Path, topic: str, mechanism: Mechanism
) -> None:
    """With the right password our clients get in by each mechanism, and can write."""
    known = user(secure, tmp_path, mechanism, PASSWORD)
    async with Admin(known) as admin:
        assert await admin.ensure_topic(TopicSpec(name=topic, partitions=1))
    async with Producer(known) as producer:
        assert await producer.append(topic, 0, [Record(b"key", b"value")]) == 0


PLAIN_TAKES_ALL = differs(
    "PLAIN takes the password of any SCRAM user: there is no second list of users in a file"
)


async def refused_by_admin(unknown: KafkaSettings) -> None:
    """Try to administer."""
    async with Admin(unknown) as admin:
        await admin.brokers()


async def refused_by_producer(unknown: KafkaSettings) -> None:
    """Try to connect as who writes."""
    async with Producer(unknown):
        pass


TRIED = [
    pytest.param(refused_by_admin, id="administer"),
    pytest.param(refused_by_producer, id="write"),
]


@pytest.mark.parametrize("tried", TRIED)
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_the_wrong_password(
    secure: Secure,
    tmp_path: Path,
    mechanism: Mechanism,
    tried: Callable[[KafkaSettings], Awaitable[None]],
) -> None:
    """With a wrong password our clients are refused by each mechanism, and say so."""
    with pytest.raises(NotAuthenticated, match="the login was refused"):
        await tried(user(secure, tmp_path, mechanism, f"{PASSWORD}!"))
    await disconnected()


@pytest.mark.parametrize(
    ("mechanism", "other"),
    [
        pytest.param("SCRAM-SHA-256", "SCRAM-SHA-512"),
        pytest.param("SCRAM-SHA-512", "SCRAM-SHA-256"),
        pytest.param("SCRAM-SHA-256", "PLAIN"),
        pytest.param("PLAIN", "SCRAM-SHA-256", marks=PLAIN_TAKES_ALL),
        pytest.param("PLAIN", "SCRAM-SHA-512", marks=PLAIN_TAKES_ALL),
    ],
)
async def test_the_user_of_another_mechanism(
    secure: Secure, tmp_path: Path, mechanism: Mechanism, other: Mechanism
) -> None:
    """The right password is wrong by a mechanism that the user is not known to."""
    known = user(secure, tmp_path, mechanism, PASSWORD, name=USERS[other])
    if mechanism == "PLAIN" and isinstance(secure, SecuredBroker):
        await refused_by_admin(known)
        return
    with pytest.raises(NotAuthenticated, match="the login was refused"):
        await refused_by_admin(known)
