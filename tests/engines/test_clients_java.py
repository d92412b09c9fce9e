"""Clients: Apache Kafka's own tools, from the same jars as the broker."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bus.settings import Address
from ops.kafka.installation import installed
from tests.broker.raw import Raw, batch
from tests.engine import Engine
from tests.engines.party import Party
from tests.engines.transactor import COMMITTED, Transactor, read, settled

pytestmark = pytest.mark.slow

DEADLINE = 60.0  # seconds
TOOLS = "org.apache.kafka.tools"
GROUPS = f"{TOOLS}.consumer.group.ConsumerGroupCommand"
OPTIONS = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
THREE = batch(b"a", b"b", b"c")
QUIET = """\
<Configuration status="ERROR">
  <Appenders><Console name="console" target="SYSTEM_ERR"/></Appenders>
  <Loggers><Root level="ERROR"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""

Tool = Callable[..., Awaitable[str]]


@pytest.fixture
def tool(apache: None, engine: Engine, tmp_path: Path) -> Tool:
    """Runs one of Kafka's tools on the engine, and returns what it says."""
    logging = tmp_path / "log4j2.xml"
    logging.write_text(QUIET, encoding="utf-8")
    options = (*OPTIONS, f"-Dlog4j2.configurationFile={logging}")

    async def run(
        main_class: str, *arguments: object, given: str = "", where: str = "--bootstrap-server"
    ) -> str:
        process = await asyncio.create_subprocess_exec(
            *(await installed()).command(
                main_class, where, engine.settings.bootstrap, *arguments, options=options
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(DEADLINE):
                said, _ = await process.communicate(given.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, said.decode()
        return said.decode()

    return run


def events(said: str, name: str) -> list[dict[str, Any]]:
    """Return what a verifiable client says of one kind."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["name"] == name]


def consumed(said: str) -> list[tuple[int, int]]:
    """Return each partition and offset that a verifiable consumer says it got, in its order."""
    return [
        (part["partition"], offset)
        for event in events(said, "records_consumed")
        for part in event["partitions"]
        for offset in range(part["minOffset"], part["maxOffset"] + 1)
    ]


def rows(said: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in said.splitlines() if line.strip()]


async def test_console(tool: Tool, raw: Raw, topic: str, party: Party) -> None:
    """The console consumer prints what the console producer was given."""
    await raw.made(topic, 2)
    parsing = ("parse.key=true", "key.separator=:")
    properties = [word for one in parsing for word in ("--reader-property", one)]
    await tool(f"{TOOLS}.ConsoleProducer", "--topic", topic, *properties, given="a:1\nb:2\na:3\n")
    said = await tool(
        f"{TOOLS}.consumer.ConsoleConsumer",
        *("--topic", topic, "--group", party.group, "--from-beginning", "--max-messages", 3),
        *("--formatter-property", "print.key=true"),
    )
    found = [row for row in rows(said) if len(row) == 2]
    assert sorted(found) == [["a", "1"], ["a", "3"], ["b", "2"]]
    assert [value for key, value in found if key == "a"] == ["1", "3"]


async def test_verifiable(tool: Tool, raw: Raw, topic: str, party: Party) -> None:
    """The verifiable consumer gets all that the verifiable producer had acknowledged."""
    await raw.made(topic, 2)
    said = await tool(f"{TOOLS}.VerifiableProducer", "--topic", topic, "--max-messages", 1000)
    assert events(said, "tool_data")[-1]["acked"] == 1000
    acknowledged = [
        (one["partition"], one["offset"]) for one in events(said, "producer_send_success")
    ]
    assert len(acknowledged) == 1000
    said = await tool(
        f"{TOOLS}.VerifiableConsumer",
        *("--topic", topic, "--group-id", party.group, "--max-messages", 1000),
        *("--reset-policy", "earliest"),
    )
    assert sum(event["count"] for event in events(said, "records_consumed")) == 1000
    assert sorted(consumed(said)) == sorted(acknowledged)
    assert events(said, "offsets_committed")[-1]["success"] is True
    positions = await party.positions(topic)
    assert sum(max(offset, 0) for offset, _ in positions.values()) == 1000


async def test_consumer_groups(tool: Tool, raw: Raw, topic: str, party: Party) -> None:
    """The tool for groups lists and describes one, sets its positions back, and deletes it."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    await (await party.member()).commit(topic, 2)
    assert [party.group] in rows(await tool(GROUPS, "--list"))
    described = rows(await tool(GROUPS, "--describe", "--group", party.group))
    assert [party.group, topic, "0", "2", "3", "1", "-", "-", "-"] in described
    await tool(
        GROUPS,
        *("--reset-offsets", "--group", party.group, "--topic", topic),
        *("--to-earliest", "--execute"),
    )
    assert await party.positions() == {(topic, 0): (0, "")}
    await tool(GROUPS, "--delete", "--group", party.group)
    assert (await party.describe()).group_state == "Dead"


async def test_topics(tool: Tool, topic: str) -> None:
    """The tool for topics makes, describes and deletes one."""
    name = f"{TOOLS}.TopicCommand"
    wanted = ("--partitions", 3, "--config", "retention.ms=1000000")
    assert f"Created topic {topic}." in await tool(name, "--create", "--topic", topic, *wanted)
    said = await tool(name, "--describe", "--topic", topic)
    assert "PartitionCount: 3" in said.replace("\t", " ")
    assert "retention.ms=1000000" in said
    assert said.count("Leader: 1") == 3
    await tool(name, "--delete", "--topic", topic)
    assert topic not in await tool(name, "--list")


async def test_configs(tool: Tool, raw: Raw, topic: str) -> None:
    """The tool for configs sets one, takes one back, and describes what differs."""
    await raw.made(topic, retention_ms="1000")
    one = ("--entity-type", "topics", "--entity-name", topic)
    changes = ("--add-config", "cleanup.policy=compact", "--delete-config", "retention.ms")
    await tool("kafka.admin.ConfigCommand", *one, "--alter", *changes)
    said = await tool("kafka.admin.ConfigCommand", *one, "--describe")
    assert "cleanup.policy=compact" in said
    assert "retention.ms" not in said


async def test_get_offsets(tool: Tool, raw: Raw, topic: str) -> None:
    """The tool for offsets tells the end of each partition."""
    await raw.made(topic, 2)
    await raw.produce(topic, THREE, partition=1)
    said = await tool(f"{TOOLS}.GetOffsetShell", "--topic", topic)
    assert said.split() == [f"{topic}:0:0", f"{topic}:1:3"]


async def test_delete_records(tool: Tool, raw: Raw, topic: str, tmp_path: Path) -> None:
    """The tool that deletes records moves the beginning of a partition."""
    await raw.made(topic)
    await raw.produce(topic, THREE)
    file = tmp_path / "offsets.json"
    wanted = {"partitions": [{"topic": topic, "partition": 0, "offset": 2}], "version": 1}
    file.write_text(json.dumps(wanted), encoding="utf-8")
    said = await tool(f"{TOOLS}.DeleteRecordsCommand", "--offset-json-file", file)
    assert f"partition: {topic}-0 low_watermark: 2" in " ".join(said.split())


async def test_transactions(tool: Tool, raw: Raw, topic: str, engine: Engine) -> None:
    """The tool for transactions lists them, and describes one."""
    await raw.made(topic)
    name = f"{TOOLS}.TransactionsCommand"
    async with Transactor.at(Address.parse(engine.settings.bootstrap)) as producer:
        await producer.begin()
        await producer.send(topic, b"a")
        listed = {row[0]: row[-1] for row in rows(await tool(name, "list"))}
        assert listed[producer.name] == "Ongoing"
        described = await tool(name, "describe", "--transactional-id", producer.name)
        assert f"{topic}-0" in described
        await producer.end(commit=True)


async def test_copying_in_transactions(tool: Tool, raw: Raw, topic: str, party: Party) -> None:
    """Records are copied with their positions, each once, though some transactions are aborted."""
    await raw.made(topic)
    await raw.made(f"{topic}.out")
    values = [b"%d" % number for number in range(40)]
    for value in values:
        await raw.produce(topic, batch(value))
    await tool(
        f"{TOOLS}.TransactionalMessageCopier",
        *("--input-topic", topic, "--input-partition", 0, "--output-topic", f"{topic}.out"),
        *("--max-messages", len(values), "--consumer-group", party.group),
        *("--transaction-size", 7, "--transactional-id", topic, "--enable-random-aborts"),
        where="--broker-list",
    )
    await settled(raw, f"{topic}.out")
    assert await read(raw, f"{topic}.out", COMMITTED) == values
    assert (await party.positions(topic))[topic, 0] == (len(values), "")
