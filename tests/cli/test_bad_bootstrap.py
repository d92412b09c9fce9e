"""What a user sees of a cluster that cannot be used: sentence, address, remedy, exit code.

Each case runs a command as a process of its own; but for a version that is too old, against a real
Apache Kafka.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bus.registry import Registry
from bus.settings import Address, KafkaSettings, RegistrySettings, Settings, variable
from bus.telemetry import Telemetry
from tests.engine import Engine, emptied
from tests.strangers import Serve, http, listening, versions

pytestmark = pytest.mark.slow

DEADLINE = 60.0
NOBODY = "nobody"  # is taken for the user without rights
LS = ("topic", "ls")
TAIL = ("tail", "sensor.reading.v1", "--all", "--end")
SHOW = ("topic", "show", "sensor.reading.v1")
SERVE = ("serve", "--registry-listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
DOCTOR = ("doctor", "--registry", "http://127.0.0.1:1")
ONE_BROKER = (
    "cannot have as many copies: kafka.replication_factor is 3, and there is 1 broker",
    "set kafka.replication_factor to 1 at the most, or add brokers",
)
LOGIN = {"username": "admin", "password_file": "password"}


@pytest.fixture
async def nobody(kafka_secure: Engine) -> KafkaSettings:
    """A user of the secure cluster without any right."""
    assert kafka_secure.cluster is not None
    return await kafka_secure.cluster.add_user(NOBODY)


@pytest.mark.parametrize(
    ("serve", "code", "sentence", "remedy"),
    [
        pytest.param(http, 4, "it answers in HTTP: this is no Kafka", "check kafka.bootstrap",
            id="no Kafka at the address"),
        pytest.param(versions(produce=8, fetch=11, init_producer_id=1, create_topics=3), 2,
            "its Kafka is too old: CreateTopics version 4 is needed",
            "Apache Kafka 2.4 or later is needed", id="too old a version"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [LS, SERVE], ids=["topic ls", "serve"])
async def test_a_stranger(
    tmp_path: Path, command: Sequence[str], serve: Serve, code: int, sentence: str, remedy: str
) -> None:
    async with listening(serve) as address:
        done, said = await stadtbus(tmp_path, command, {"bootstrap": address})
    assert done == code, said
    assert f"{address}: {sentence}" in said
    assert f"Next: {remedy}" in said


@pytest.mark.parametrize(
    ("changes", "place", "sentence", "remedy"),
    [
        pytest.param({"password_file": "empty"}, "kafka.password_file, empty",
            "has no password in its first line", "write the password there", id="no password"),
        pytest.param({"password_file": "gone"}, "kafka.password_file, gone",
            "cannot be read: no such file", "name a file that this user may read", id="no file"),
        pytest.param({"bootstrap": "abc"}, "STADTBUS_KAFKA__BOOTSTRAP",
            '"abc" is not host:port', "set kafka.bootstrap to what it takes: ", id="no address"),
        pytest.param({"security_protocol": "TLS"}, "STADTBUS_KAFKA__SECURITY_PROTOCOL",
            "Input should be", "set kafka.security_protocol to what it takes: ", id="no protocol"),
    ],
)  # fmt: skip
async def test_a_setting_that_cannot_be_used(
    tmp_path: Path, changes: dict[str, str], place: str, sentence: str, remedy: str
) -> None:
    (tmp_path / "empty").touch()
    login = {"security_protocol": "SASL_PLAINTEXT", "username": "admin"}
    done, said = await stadtbus(tmp_path, LS, {**login, **changes})
    assert done == 2, said
    assert f"{place}: {sentence}" in said
    assert f"Next: {remedy}" in said


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changes", "code", "sentence", "remedy"),
    [
        pytest.param({"security_protocol": "SSL"}, 2,
            "it speaks Kafka without TLS, but kafka.security_protocol is SSL",
            "set kafka.security_protocol to PLAINTEXT", id="TLS against plaintext"),
        pytest.param({"security_protocol": "SASL_PLAINTEXT", **LOGIN}, 2,
            "it asks for no login, but kafka.security_protocol is SASL_PLAINTEXT",
            "set kafka.security_protocol to PLAINTEXT", id="a login where there is none"),
    ],
)  # fmt: skip
async def test_a_plain_cluster_that_is_asked_wrongly(
    tmp_path: Path, kafka: Engine, changes: dict[str, str], code: int, sentence: str, remedy: str
) -> None:
    given = {**_given(kafka.settings), **changes}
    done, said = await stadtbus(tmp_path, LS, given)
    assert done == code, said
    assert f"{kafka.settings.bootstrap}: {sentence}" in said
    assert f"Next: {remedy}" in said


@pytest.mark.kafka
@pytest.mark.parametrize("command", [SERVE, DOCTOR], ids=["serve", "doctor"])
async def test_more_copies_than_brokers(
    tmp_path: Path, kafka: Engine, command: Sequence[str]
) -> None:
    emptied(kafka.settings)  # or the topic that the node makes may be there already
    given = {**_given(kafka.settings), "replication_factor": "3"}
    done, said = await stadtbus(tmp_path, command, given)
    sentence, remedy = ONE_BROKER
    assert done == (2 if command is SERVE else 4), said  # doctor misses its registry, too
    assert f"{kafka.settings.bootstrap}: " in said
    assert sentence in said
    assert f"Next: {remedy}" in said


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("changes", "code", "sentence", "remedy"),
    [
        pytest.param({"security_protocol": "PLAINTEXT"}, 2,
            "it speaks TLS, but kafka.security_protocol is PLAINTEXT",
            "set kafka.security_protocol to SSL or SASL_SSL", id="plaintext against TLS"),
        pytest.param({"security_protocol": "SSL"}, 2,
            "it asks for a login by SCRAM-SHA-512, but kafka.security_protocol is SSL",
            "set kafka.security_protocol to SASL_SSL", id="no login"),
        pytest.param({"password_file": "password"}, 5, "the login was refused",
            "check kafka.username, kafka.password_file", id="wrong password"),
        pytest.param({"ca_file": None}, 5, "its certificate cannot be verified",
            "name the certificates that it leads to in kafka.ca_file", id="unknown authority"),
    ],
)  # fmt: skip
async def test_a_secure_cluster_that_is_asked_wrongly(
    tmp_path: Path, kafka_secure: Engine, changes: dict[str, str | None], code: int,
    sentence: str, remedy: str,
) -> None:  # fmt: skip
    given = {**_given(kafka_secure.settings), **changes}
    done, said = await stadtbus(tmp_path, LS, given)
    assert done == code, said
    assert f"{kafka_secure.settings.bootstrap}: {sentence}" in said
    assert f"Next: {remedy}" in said


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("command", "right"),
    [
        pytest.param(TAIL, "Describe on the topic sensor.reading.v1", id="tail"),
        pytest.param(SHOW, "Describe on the topic sensor.reading.v1", id="topic show"),
        pytest.param(("topic", "show", "no.such.v1"), "Describe on the topic no.such.v1",
            id="a topic that does not exist"),
        pytest.param(("group", "lag", "de.agency.x"), "Describe on the group de.agency.x",
            id="group lag"),
        pytest.param(SERVE, "Write on any topic", id="serve"),
    ],
)  # fmt: skip
async def test_rights_that_are_missing(
    tmp_path: Path, nobody: KafkaSettings, command: Sequence[str], right: str
) -> None:
    done, said = await stadtbus(tmp_path, command, _given(nobody))
    assert done == 5, said
    assert f"{nobody.bootstrap}: the user {NOBODY} lacks the right {right}" in said
    assert f"Next: have the cluster's administrator grant {right} to {NOBODY}" in said


@pytest.mark.kafka
async def test_a_subscriber_without_rights(
    tmp_path: Path, nobody: KafkaSettings, kafka_secure: Engine
) -> None:
    free = RegistrySettings(listen=Address(host="127.0.0.1", port=0))
    admins = Settings(kafka=kafka_secure.settings, registry=free)
    async with Registry(admins, Telemetry()) as registry:
        command = ("--registry", f"http://{registry.address}")
        book = await ran("consumers.address_book", tmp_path, command, _given(nobody))
        doctor = await stadtbus(tmp_path, ("doctor", *command), _given(nobody))
    right = "Create on the topic dead.de.agency.geodaten.address.building-changed.v1"
    assert book[0] == 5, book
    assert f"{nobody.bootstrap}: the user {NOBODY} lacks the right {right}" in book[1]
    assert f"grant {right} to {NOBODY}" in book[1]
    assert doctor[0] == 5, doctor
    assert f"✘ rights: {nobody.bootstrap}: the user {NOBODY} may see no topic" in doctor[1]
    assert f"{NOBODY} lacks the right Describe on the topic sensor.reading.v1" in doctor[1]


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("command", "kind"),
    [
        pytest.param(LS, "topic", id="topic ls"),
        pytest.param(("dead", "ls"), "topic", id="dead ls"),
        pytest.param(("group", "ls"), "group", id="group ls"),
        pytest.param(("group", "lag"), "group", id="group lag"),
    ],
)
async def test_nothing_may_be_something_hidden(
    tmp_path: Path, nobody: KafkaSettings, command: Sequence[str], kind: str
) -> None:
    done, said = await stadtbus(tmp_path, command, _given(nobody))
    assert done == 0, said
    hidden = f"there is no {kind}, or none that the user {NOBODY} may see"
    assert f"{nobody.bootstrap}: {hidden}" in said
    assert f"grant Describe on the {kind}s to {NOBODY}; docs/kafka.md" in said


async def stadtbus(
    folder: Path, command: Sequence[str], given: Mapping[str, str | None]
) -> tuple[int | None, str]:
    """Run a command with these settings of ``kafka``; return its exit code and all it said."""
    return await ran("bus.cli", folder, command, given)


async def ran(
    module: str, folder: Path, command: Sequence[str], given: Mapping[str, str | None]
) -> tuple[int | None, str]:
    """Run a program in a folder that has a file with a wrong password."""
    (folder / "password").write_text("wrong\n", encoding="utf-8")
    if command is SERVE:
        command = (*SERVE, "--kafka", str(given["bootstrap"]))
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("STADTBUS_")}
    chosen = {variable(f"kafka.{n}"): v for n, v in given.items() if v is not None}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *command, cwd=folder, env={**inherited, **chosen},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert b"Traceback" not in said
    return process.returncode, said.decode()


def _given(kafka: KafkaSettings) -> dict[str, Any]:
    """Return settings as a user gives them."""
    names = ("bootstrap", "security_protocol", "username", "password_file", "ca_file")
    found = {name: getattr(kafka, name) for name in names}
    return {name: str(value) for name, value in found.items() if value is not None}
