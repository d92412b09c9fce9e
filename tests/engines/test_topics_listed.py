"""Topics: listed and described, with the brokers that have them."""

from typing import Any
from uuid import UUID

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import Raw, batch

NONE = ErrorCode.none
INVALID_NAME = ErrorCode.invalid_topic_exception


async def metadata(raw: Raw, version: int, names: list[str] | None, *, create: bool = True) -> Any:
    """Ask for topics by name; None is all."""
    return await raw.ask(
        ApiKey.METADATA,
        version,
        topics=names and [{"name": name, "topic_id": None} for name in names],
        allow_auto_topic_creation=create,
        include_cluster_authorized_operations=False,
        include_topic_authorized_operations=False,
    )


@pytest.mark.parametrize("version", range(13))
async def test_metadata(raw: Raw, topic: str, version: int) -> None:
    """Every version of Metadata from 0 to 12 lists a topic's partitions and who leads them."""
    await raw.made(topic, 3)
    answer = await metadata(raw, version, [topic])
    (node,) = answer.brokers
    (found,) = answer.topics
    assert (found.name, found.error_code) == (topic, NONE)
    assert version < 1 or not found.is_internal
    assert sorted(
        (one.partition_index, one.leader_id, one.replica_nodes, one.isr_nodes)
        for one in found.partitions
    ) == [(index, node.node_id, (node.node_id,), (node.node_id,)) for index in range(3)]
    assert version < 1 or answer.controller_id == node.node_id
    assert version < 2 or answer.cluster_id
    assert version < 7 or {one.leader_epoch for one in found.partitions} == {0}


@pytest.mark.parametrize("create", [True, False], ids=["making allowed", "making forbidden"])
async def test_metadata_of_unknown_topics(raw: Raw, topic: str, create: bool) -> None:
    """Asking for a topic does not make it: unknown and invalid names are told apart."""
    asked = [topic, "no good", "x" * 250]
    for _ in range(2):
        answer = await metadata(raw, 12, asked, create=create)
        assert {one.name: one.error_code for one in answer.topics} == {
            topic: ErrorCode.unknown_topic_or_partition,
            "no good": INVALID_NAME,
            "x" * 250: INVALID_NAME,
        }


async def test_all_topics(raw: Raw, topic: str) -> None:
    """Without names, all topics are listed."""
    names = {f"{topic}.{number}" for number in range(3)}
    for name in names:
        await raw.made(name)
    listed = await metadata(raw, 1, None)
    assert names <= {one.name for one in listed.topics if one.error_code is NONE}


async def test_no_topics(raw: Raw, topic: str) -> None:
    """An empty list of names asks for the brokers alone."""
    await raw.made(topic)
    answer = await raw.ask(ApiKey.METADATA, 4, topics=[], allow_auto_topic_creation=False)
    assert (answer.topics, len(answer.brokers)) == ((), 1)


async def test_metadata_by_id(raw: Raw, topic: str) -> None:
    """Topics can be asked for by id; an unknown id is refused."""
    await raw.made(topic)
    (made,) = (await metadata(raw, 12, [topic])).topics
    unknown = UUID(int=12345)
    answer = await raw.ask(
        ApiKey.METADATA,
        12,
        topics=[{"name": None, "topic_id": id_} for id_ in (made.topic_id, unknown)],
        allow_auto_topic_creation=False,
        include_topic_authorized_operations=False,
    )
    assert {one.topic_id: (one.name, one.error_code) for one in answer.topics} == {
        made.topic_id: (topic, NONE),
        unknown: (None, ErrorCode.unknown_topic_id),
    }


async def test_the_cluster(raw: Raw, address: Address) -> None:
    """DescribeCluster names the cluster, its brokers and who controls it."""
    answer = await raw.ask(ApiKey.DESCRIBE_CLUSTER, 0, include_cluster_authorized_operations=False)
    listed = await raw.ask(ApiKey.METADATA, 2, topics=None)
    (node,) = answer.brokers
    assert (node.host, node.port) == (address.host, address.port)
    assert (answer.error_code, answer.controller_id) == (NONE, node.broker_id)
    assert answer.cluster_id == listed.cluster_id


@pytest.mark.parametrize("version", range(1, 5))
async def test_sizes(raw: Raw, topic: str, version: int) -> None:
    """DescribeLogDirs tells how many bytes a partition takes on the disk."""
    await raw.made(topic, 2)
    sent = batch(b"x" * 1000)
    await raw.produce(topic, sent)
    answer = await raw.ask(
        ApiKey.DESCRIBE_LOG_DIRS, version, topics=[{"topic": topic, "partitions": [0, 1]}]
    )
    (folder,) = answer.results
    assert (folder.error_code, bool(folder.log_dir)) == (NONE, True)
    ((name, parts),) = [(one.name, one.partitions) for one in folder.topics]
    sizes = {one.partition_index: one.partition_size for one in parts}
    assert (name, sizes) == (topic, {0: len(sent), 1: 0})


async def test_what_one_may_do(raw: Raw, topic: str) -> None:
    """Where nobody has to log in, everybody may do everything that there is (KIP-430)."""
    await raw.made(topic)
    answer = await raw.ask(
        ApiKey.METADATA,
        10,
        topics=[{"name": topic, "topic_id": None}],
        allow_auto_topic_creation=False,
        include_cluster_authorized_operations=True,
        include_topic_authorized_operations=True,
    )
    assert answer.topics[0].topic_authorized_operations == 0b1101_1111_1000
    assert answer.cluster_authorized_operations == 0b1_1111_1010_0000
