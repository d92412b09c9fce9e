"""Clients that are not ours, on a secured node: Kafka's tools, kcat, confluent-kafka, Faust.

The user whom they log in as was made by Kafka's own tools, with its rules. Beside it there is one
without any, who is refused.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from bus.security.clients import Access, hand_out
from ops.kafka.installation import installed
from tests.city import reading
from tests.engines import counting
from tests.town.conftest import NOBODY, READINGS, Done, Town

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

USER, PASSWORD = "town.clients", "made-by-hand-9"
TOPICS = "town.clients."
DEADLINE = 60.0  # seconds
TOOLS = "org.apache.kafka.tools"
QUIET = """\
<Configuration status="ERROR">
  <Appenders><Console name="console" target="SYSTEM_ERR"/></Appenders>
  <Loggers><Root level="ERROR"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""


class Tool(Protocol):
    """Runs one of Kafka's tools as a user of the town."""

    def __call__(self, user: str, main_class: str, *arguments: str, given: str = "") -> Done: ...


@pytest.fixture(scope="session")
def tool(apache: None, town: Town, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    logging = tmp_path_factory.mktemp("tools") / "log4j2.xml"
    logging.write_text(QUIET, encoding="utf-8")
    kafka = asyncio.run(installed())
    bootstrap = town.node.ready["broker"]

    def run(user: str, main_class: str, *arguments: str, given: str = "") -> Done:
        where = ("--bootstrap-server", bootstrap, "--command-config", "client.properties")
        return subprocess.run(
            kafka.tool(main_class, *where, *arguments, logging=logging),
            input=given,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            cwd=town.of(user),
        )

    return run


@pytest.fixture(scope="session")
def client(tool: Tool, town: Town) -> Path:
    """The folder of a user whom Kafka's own tools made, and gave rights."""
    credential = f"SCRAM-SHA-512=[iterations=8192,password={PASSWORD}]"
    entity = ("--entity-type", "users", "--entity-name", USER)
    done(tool("admin", "kafka.admin.ConfigCommand", "--alter", "--add-config", credential, *entity))
    who = ("--add", "--allow-principal", f"User:{USER}", "--resource-pattern-type", "prefixed")
    acls = f"{TOOLS}.AclCommand"
    rights = ("--operation", "Read", "--operation", "Write", "--operation", "Create")
    done(tool("admin", acls, *who, *rights, "--topic", TOPICS))
    done(tool("admin", acls, *who, "--operation", "Read", "--group", TOPICS))
    listed = done(tool("admin", acls, "--list", "--principal", f"User:{USER}"))
    assert listed.count(f"principal=User:{USER}") == 4
    access = Access(
        bootstrap=town.node.ready["broker"],
        registry=town.node.ready["registry"],
        mechanism="SCRAM-SHA-512",
        user=USER,
        password=PASSWORD,
        ca=town.folder.ca.read_text(),
    )
    hand_out(access, town.of(USER))
    return town.of(USER)


def done(result: Done) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_kafkas_tools(client: Path, tool: Tool) -> None:
    topic = f"{TOPICS}java"
    made = ("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    done(tool(USER, f"{TOOLS}.TopicCommand", *made))
    done(tool(USER, f"{TOOLS}.ConsoleProducer", "--topic", topic, given="a\nb\n"))
    reading = ("--topic", topic, "--group", f"{TOPICS}java", "--from-beginning")
    read = done(tool(USER, f"{TOOLS}.consumer.ConsoleConsumer", *reading, "--max-messages", "2"))
    assert read.split() == ["a", "b"]
    groups = done(tool(USER, f"{TOOLS}.consumer.group.ConsumerGroupCommand", "--list"))
    assert groups.split() == [f"{TOPICS}java"]


def test_kafkas_tools_without_rights(client: Path, tool: Tool) -> None:
    topic = f"{TOPICS}none"
    made = ("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    assert "AuthorizationException" in said(tool(NOBODY, f"{TOOLS}.TopicCommand", *made))
    written = tool(NOBODY, f"{TOOLS}.ConsoleProducer", "--topic", READINGS, given="a\n")
    assert "AuthorizationException" in said(written)
    reading = ("--topic", READINGS, "--max-messages", "1", "--timeout-ms", "5000")
    assert "AuthorizationException" in said(
        tool(NOBODY, f"{TOOLS}.consumer.ConsoleConsumer", *reading)
    )
    assert "AuthorizationException" in said(tool(NOBODY, f"{TOOLS}.AclCommand", "--list"))
    credential = "SCRAM-SHA-512=[iterations=8192,password=x]"
    entity = ("--alter", "--add-config", credential, "--entity-type", "users", "--entity-name", "x")
    assert "AuthorizationException" in said(tool(NOBODY, "kafka.admin.ConfigCommand", *entity))


def said(result: Done) -> str:
    return result.stdout + result.stderr


def kcat_says(kcat: str, folder: Path, *arguments: str, given: str = "") -> Done:
    """Run kcat in a user's folder."""
    command = [kcat, "-F", "kcat.conf", *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=DEADLINE, cwd=folder
    )


def test_kcat(client: Path, town: Town, kcat: str, tool: Tool) -> None:
    topic = f"{TOPICS}kcat"
    made = ("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    done(tool("admin", f"{TOOLS}.TopicCommand", *made))
    done(kcat_says(kcat, client, "-P", "-t", topic, given="a\nb\n"))
    assert done(kcat_says(kcat, client, "-C", "-t", topic, "-e", "-q")) == "a\nb\n"
    assert f'topic "{topic}"' in done(kcat_says(kcat, client, "-L"))
    refused = kcat_says(kcat, town.of(NOBODY), "-C", "-t", topic, "-e")
    assert "Topic authorization failed" in said(refused)
    assert topic not in said(kcat_says(kcat, town.of(NOBODY), "-L"))


def properties(folder: Path) -> dict[str, Any]:
    """Return the settings of librdkafka in a user's folder, with paths that are good anywhere."""
    lines = (folder / "kcat.conf").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return found | {"ssl.ca.location": str(folder / "ca.pem")}


def produced(folder: Path, topic: str, value: bytes = b"x") -> KafkaError | None:
    """Produce one record; return what was wrong with it."""
    outcome: list[KafkaError | None] = []
    producer = Producer(properties(folder))
    producer.produce(topic, value, on_delivery=lambda error, _: outcome.append(error))
    assert producer.flush(DEADLINE) == 0
    return outcome[0]


def test_confluent_kafka(client: Path, town: Town, tool: Tool) -> None:
    topic = f"{TOPICS}confluent"
    made = ("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    done(tool("admin", f"{TOOLS}.TopicCommand", *made))
    assert produced(client, topic) is None
    error = produced(town.of(NOBODY), topic)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    reading = {"group.id": f"{TOPICS}confluent", "auto.offset.reset": "earliest"}
    with Consumer(properties(client) | reading) as consumer:
        consumer.subscribe([topic])
        record = consumer.poll(DEADLINE)
        assert record is not None
        assert record.value() == b"x"
        consumer.commit(asynchronous=False)
    with Consumer(properties(town.of(NOBODY)) | reading) as consumer:
        consumer.subscribe([topic])
        record = consumer.poll(DEADLINE)
        assert record is not None
        assert record.error().code() in {
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
        }


def test_a_denial_is_felt_on_an_open_connection(client: Path, tool: Tool) -> None:
    topic = f"{TOPICS}denied"
    made = ("--create", "--topic", topic, "--partitions", "1", "--replication-factor", "1")
    done(tool("admin", f"{TOOLS}.TopicCommand", *made))
    outcomes: list[KafkaError | None] = []
    producer = Producer(properties(client))

    def produce() -> KafkaError | None:
        producer.produce(topic, b"x", on_delivery=lambda error, _: outcomes.append(error))
        assert producer.flush(DEADLINE) == 0
        return outcomes[-1]

    assert produce() is None
    denied = ("--deny-principal", f"User:{USER}", "--operation", "Write", "--topic", topic)
    done(tool("admin", f"{TOOLS}.AclCommand", "--add", *denied))
    error = produce()
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    done(tool("admin", f"{TOOLS}.AclCommand", "--remove", "--force", *denied))
    assert produce() is None


def test_confluents_registry_client(client: Path, town: Town) -> None:
    """Serializers that do not register work for every user; who may not write is told so."""
    settings = {
        "url": town.node.ready["registry"],
        "ssl.ca.location": str(client / "ca.pem"),
        "basic.auth.user.info": f"{USER}:{PASSWORD}",
    }
    with SchemaRegistryClient(settings) as registry:
        schema = registry.get_latest_version(f"{READINGS}-value").schema
        assert schema is not None
        fixed = {"auto.register.schemas": False, "use.latest.version": True}
        context, event = SerializationContext(READINGS, MessageField.VALUE), reading()
        written = AvroSerializer(registry, schema.schema_str, conf=fixed)(event, context)
        read = AvroDeserializer(registry)(written, context)
        assert isinstance(read, dict)
        assert read["thing"] == event["thing"]
        with pytest.raises(SchemaRegistryError) as refused:
            registry.register_schema("town.clients-value", Schema('"string"', "AVRO"))
        assert (refused.value.http_status_code, refused.value.error_code) == (403, 40301)
    with SchemaRegistryClient(settings | {"basic.auth.user.info": f"{USER}:wrong"}) as registry:
        with pytest.raises(SchemaRegistryError) as refused:
            registry.get_subjects()
        assert (refused.value.http_status_code, refused.value.error_code) == (401, 40101)


def test_faust(client: Path, town: Town, tool: Tool, tmp_path: Path) -> None:
    """An application with a table counts, as the user whom Kafka's tools made."""
    topic = f"{TOPICS}faust"
    made = ("--create", "--topic", topic, "--partitions", "2", "--replication-factor", "1")
    done(tool("admin", f"{TOOLS}.TopicCommand", *made))
    with counting_as(town, USER, topic, tmp_path / "user") as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == counting.READY
        assert produced_keys(client, topic, "aab") is None
        found = sorted(process.stdout.readline().split()[1:3] for _ in range(3))
        assert found == [["a", "0"], ["a", "1"], ["b", "0"]]


def test_faust_without_rights(client: Path, town: Town, tmp_path: Path) -> None:
    with counting_as(town, NOBODY, f"{TOPICS}faust", tmp_path / "nobody") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "uthorization" in line:
                break
        else:
            pytest.fail("it ended without a word of its rights")


def produced_keys(folder: Path, topic: str, keys: str) -> KafkaError | None:
    """Produce a record for each key; return the first that was wrong."""
    errors: list[KafkaError] = []
    producer = Producer(properties(folder))
    for key in keys:
        producer.produce(
            topic, b"x", key, on_delivery=lambda error, _: errors.append(error) if error else None
        )
    assert producer.flush(DEADLINE) == 0
    return errors[0] if errors else None


def counting_as(town: Town, user: str, topic: str, folder: Path) -> "subprocess.Popen[str]":
    """Start the Faust application as a user of the town; it ends with the block."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.town.counting", town.node.ready["broker"], topic]
    return _Ending(
        [*command, str(folder), user],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=town.of(user),
        env=os.environ | {"PYTHONPATH": str(root)},
    )


class _Ending(subprocess.Popen):  # type: ignore[type-arg]  # of text
    """A process that is killed at the end of its block."""

    def __exit__(self, *details: object) -> None:
        self.kill()
        self.communicate()
