"""Security: requests of which one may do a part; what is allowed is done, the rest is refused."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crc32c import crc32c
from kio.schema.errors import ErrorCode

from bus.settings import Address, KafkaSettings
from tests.broker.raw import Raw, batch
from tests.broker.raw import topic as wanted_topic
from tests.engine import Engine
from tests.engines.login import encrypted, log_in
from tests.engines.rights import whole
from tests.waiting import until

TOPIC, GROUP, CLUSTER, TRANSACTION = 2, 3, 4, 5
ALL, READ, WRITE, CREATE, DELETE, DESCRIBE = 2, 3, 4, 5, 6, 8
DESCRIBE_CONFIGS = 10
NO_TOPIC = ErrorCode.topic_authorization_failed
NO_GROUP = ErrorCode.group_authorization_failed
NO_TRANSACTION = ErrorCode.transactional_id_authorization_failed


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One engine after the other; each secured."""
    secured = {"embedded": "embedded_secure", "kafka": "kafka_secure"}
    chosen: Engine = request.getfixturevalue(secured[request.param])
    return chosen


async def connected(engine: Engine, user: KafkaSettings) -> Raw:
    """Return a connection of a user."""
    secure = engine.secure
    assert secure.ca_file is not None
    raw = await encrypted(Address.parse(secure.bootstrap), secure.ca_file)
    assert (await log_in(raw, *user.login())).error_code == 0
    return raw


@pytest.fixture
async def administrator(engine: Engine) -> AsyncIterator[Raw]:
    """A connection of who may do everything."""
    async with await connected(engine, engine.secure.settings) as raw:
        yield raw


@pytest.fixture
def name() -> str:
    """What everything of a test begins with."""
    return f"n{secrets.token_hex(8)}"


@pytest.fixture
async def user(engine: Engine, name: str) -> AsyncIterator[Raw]:
    """A connection of a user of this test alone, who is called like the test."""
    async with await connected(engine, await engine.secure.add_user(name)) as raw:
        yield raw


async def allow(
    administrator: Raw, user: str, operation: int, kind: int, name: str, *, host: str = "*"
) -> None:
    """Let the user do something."""
    rule = {
        "resource_type": kind,
        "resource_name": name,
        "resource_pattern_type": 3,
        "principal": f"User:{user}",
        "host": host,
        "operation": operation,
        "permission_type": 3,
    }
    answer = await administrator.ask(30, 3, creations=[rule])
    assert [one.error_code for one in answer.results] == [0]


async def ask(raw: Raw, key: int, version: int, /, **fields: Any) -> Any:
    """Ask; what is not given is empty, zero or null."""
    return await raw.ask(key, version, **whole(key, version, fields))


async def sees(raw: Raw, *names: str) -> bool:
    """Say whether these topics are all that one sees."""
    answer = await ask(raw, 3, 9, topics=None)
    return {one.name for one in answer.topics} == set(names)


@pytest.fixture
async def topics(administrator: Raw, user: Raw, name: str) -> tuple[str, str]:
    """Two topics: one on which the user may do everything, and one that it may not see."""
    mine, other = f"{name}.mine", f"{name}.other"
    await administrator.made(mine)
    await administrator.made(other)
    await allow(administrator, name, ALL, TOPIC, mine)
    await until(lambda: sees(user, mine))
    return mine, other


class TestTopics:
    """Requests about two topics, one of which is the user's."""

    async def test_produce(self, user: Raw, topics: tuple[str, str]) -> None:
        """What may be written is."""
        answer = await ask(
            user,
            0,
            9,
            acks=-1,
            timeout=1000,
            topic_data=[
                {"name": one, "partition_data": [{"index": 0, "records": batch(b"a")}]}
                for one in topics
            ],
        )
        told = {one.name: one.partition_responses[0] for one in answer.responses}
        mine, other = (told[one] for one in topics)
        assert (mine.error_code, mine.base_offset) == (0, 0)
        assert (other.error_code, other.base_offset) == (NO_TOPIC, -1)

    async def test_fetch(self, user: Raw, topics: tuple[str, str]) -> None:
        """What may be read is."""
        part = {"partition_max_bytes": 2**20, "current_leader_epoch": -1}
        answer = await ask(
            user,
            1,
            11,
            replica_id=-1,
            max_bytes=2**20,
            session_epoch=-1,
            topics=[{"topic": one, "partitions": [part]} for one in topics],
        )
        told = {one.topic: one.partitions[0].error_code for one in answer.responses}
        assert told == {topics[0]: 0, topics[1]: NO_TOPIC}

    async def test_metadata(self, user: Raw, topics: tuple[str, str], administrator: Raw) -> None:
        """What one may not see is refused by name, and by id without telling the name."""
        answer = await ask(user, 3, 9, topics=[{"name": one} for one in topics])
        told = {one.name: one.error_code for one in answer.topics}
        assert told == {topics[0]: 0, topics[1]: NO_TOPIC}
        answer = await ask(administrator, 3, 12, topics=[{"name": one} for one in topics])
        ids = {one.name: one.topic_id for one in answer.topics}
        answer = await ask(user, 3, 12, topics=[{"topic_id": ids[one]} for one in topics])
        told = {one.topic_id: (one.name, one.error_code) for one in answer.topics}
        assert told == {ids[topics[0]]: (topics[0], 0), ids[topics[1]]: (None, NO_TOPIC)}

    async def test_delete_by_id(
        self, user: Raw, topics: tuple[str, str], administrator: Raw
    ) -> None:
        """A topic that one may not see is not deleted by its id, nor is its name told."""
        answer = await ask(administrator, 3, 12, topics=[{"name": one} for one in topics])
        ids = {one.name: one.topic_id for one in answer.topics}
        asked = [{"topic_id": ids[one]} for one in topics]
        answer = await ask(user, 20, 6, timeout=1000, topics=asked)
        told = {one.topic_id: (one.name, one.error_code) for one in answer.responses}
        assert told == {ids[topics[0]]: (topics[0], 0), ids[topics[1]]: (None, NO_TOPIC)}

    async def test_offsets(self, user: Raw, topics: tuple[str, str]) -> None:
        """Offsets are told of what one may see."""
        part = {"timestamp": -1, "current_leader_epoch": -1}
        asked = [{"name": one, "partitions": [part]} for one in topics]
        answer = await ask(user, 2, 7, replica_id=-1, topics=asked)
        told = {one.name: one.partitions[0].error_code for one in answer.topics}
        assert told == {topics[0]: 0, topics[1]: NO_TOPIC}

    async def test_create(self, user: Raw, administrator: Raw, name: str) -> None:
        """Who may make topics is told of their configs only if it may describe them."""
        made = f"{name}.made"
        fields = {"timeout": 1000, "validate_only": True}
        asked = [wanted_topic(made), wanted_topic(f"{name}.not")]
        await allow(administrator, name, CREATE, TOPIC, made)

        async def told() -> Any:
            answer = await ask(user, 19, 5, topics=asked, **fields)
            return {one.name: one for one in answer.topics}

        async def allowed() -> bool:
            return bool((await told())[made].error_code == 0)

        await until(allowed)
        one, other = (await told())[made], (await told())[f"{name}.not"]
        assert (one.topic_config_error_code, one.configs) == (NO_TOPIC, ())
        assert (one.num_partitions, one.replication_factor) == (-1, -1)
        assert other.error_code is NO_TOPIC
        await allow(administrator, name, DESCRIBE_CONFIGS, TOPIC, made)

        async def described() -> bool:
            return bool((await told())[made].configs)

        await until(described)

    async def test_another_host(self, user: Raw, administrator: Raw, name: str) -> None:
        """A rule for another host is of no use here, one for this host is."""
        made = f"{name}.made"
        await administrator.made(made)
        await allow(administrator, name, READ, TOPIC, made, host="10.0.0.1")
        await allow(administrator, name, DESCRIBE, GROUP, "group")
        await until(lambda: finds(user, "group"))
        assert await sees(user)
        await allow(administrator, name, READ, TOPIC, made, host="127.0.0.1")
        await until(lambda: sees(user, made))


async def finds(raw: Raw, group: str) -> bool:
    """Say whether one is told the coordinator of a group."""
    answer = await ask(raw, 10, 3, key=group)
    return bool(answer.error_code == 0)


class TestGroups:
    """Requests about groups."""

    @pytest.fixture
    async def groups(self, administrator: Raw, user: Raw, name: str) -> tuple[str, str]:
        """Two groups: one in which the user may do everything, and one that it may not see."""
        mine, other = f"{name}.mine", f"{name}.other"
        await allow(administrator, name, ALL, GROUP, mine)
        await until(lambda: finds(user, mine))
        return mine, other

    async def test_coordinators(self, user: Raw, groups: tuple[str, str]) -> None:
        """Each is told or refused."""
        answer = await ask(user, 10, 4, coordinator_keys=groups)
        told = {one.key: (one.error_code, one.node_id) for one in answer.coordinators}
        assert told == {groups[0]: (0, 1), groups[1]: (NO_GROUP, -1)}
        answer = await ask(user, 10, 3, key=groups[1])
        assert (answer.error_code, answer.node_id, answer.host, answer.port) == (
            NO_GROUP, -1, "", -1,
        )  # fmt: skip

    async def test_described(self, user: Raw, groups: tuple[str, str]) -> None:
        """Each is described or refused."""
        answer = await ask(user, 15, 5, groups=groups)
        told = {one.group_id: one.error_code for one in answer.groups}
        assert told == {groups[0]: 0, groups[1]: NO_GROUP}

    async def test_positions(
        self, user: Raw, administrator: Raw, groups: tuple[str, str], topics: tuple[str, str]
    ) -> None:
        """Positions need a right on group and topic; of all topics one is told what one sees."""
        part = {"committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": ""}
        asked = [{"name": one, "partitions": [part]} for one in topics]
        fields = {"group_id": groups[0], "generation_id_or_member_epoch": -1, "topics": asked}
        answer = await ask(user, 8, 8, **fields)
        told = {one.name: one.partitions[0].error_code for one in answer.topics}
        assert told == {topics[0]: 0, topics[1]: NO_TOPIC}
        answer = await ask(user, 8, 8, **fields | {"group_id": groups[1]})
        told = {one.name: one.partitions[0].error_code for one in answer.topics}
        assert told == dict.fromkeys(topics, NO_GROUP)
        answer = await ask(administrator, 8, 8, **fields)
        assert {one.partitions[0].error_code for one in answer.topics} == {0}

        wanted = [{"name": one, "partition_indexes": (0,)} for one in topics]
        answer = await ask(
            user,
            9,
            8,
            groups=[
                {"group_id": groups[0], "topics": wanted},
                {"group_id": groups[1], "topics": wanted},
            ],
        )
        mine, other = sorted(answer.groups, key=lambda one: groups.index(one.group_id))
        found = {one.name: one.partitions[0] for one in mine.topics}
        assert (mine.error_code, other.error_code, other.topics) == (0, NO_GROUP, ())
        assert [(found[one].error_code, found[one].committed_offset) for one in topics] == [
            (0, 1),
            (NO_TOPIC, -1),
        ]
        answer = await ask(user, 9, 7, group_id=groups[0], topics=None)
        assert [one.name for one in answer.topics] == [topics[0]]
        answer = await ask(user, 9, 1, group_id=groups[1], topics=wanted)
        assert {one.partitions[0].error_code for one in answer.topics} == {NO_GROUP}

    async def test_listed(
        self, user: Raw, administrator: Raw, groups: tuple[str, str], topics: tuple[str, str]
    ) -> None:
        """Who may not describe the cluster is told of the groups that it may describe."""
        part = {"committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": ""}
        asked = [{"name": topics[0], "partitions": [part]}]
        for group in groups:
            fields = {"group_id": group, "generation_id_or_member_epoch": -1, "topics": asked}
            await ask(administrator, 8, 8, **fields)
        answer = await ask(user, 16, 4)
        assert [one.group_id for one in answer.groups] == [groups[0]]
        answer = await ask(administrator, 16, 4)
        assert set(groups) <= {one.group_id for one in answer.groups}
        answer = await ask(user, 42, 2, groups_names=groups)
        told = {one.group_id: one.error_code for one in answer.results}
        assert told == {groups[0]: 0, groups[1]: NO_GROUP}


class TestProducers:
    """Requests of producers that are idempotent or transactional."""

    FRESH = {"producer_id": -1, "producer_epoch": -1, "transaction_timeout": 1000}  # noqa: RUF012

    async def test_an_id(self, user: Raw, topics: tuple[str, str]) -> None:
        """Who may write any topic gets a producer's id."""

        async def given() -> bool:
            return bool((await ask(user, 22, 4, **self.FRESH)).error_code == 0)

        await until(given)  # a coordinator that has just started is not ready yet

    async def test_a_topic_of_a_transaction(
        self, user: Raw, administrator: Raw, name: str, topics: tuple[str, str]
    ) -> None:
        """If one topic is refused, no topic is added."""
        await allow(administrator, name, ALL, TRANSACTION, name)

        await ask(user, 10, 4, key_type=1, coordinator_keys=(name,))

        async def begun() -> Any:
            return await ask(user, 22, 4, transactional_id=name, **self.FRESH)

        async def allowed() -> bool:
            return bool((await begun()).error_code == 0)

        await until(allowed)
        producer = await begun()
        answer = await ask(
            user,
            24,
            3,
            v3_and_below_transactional_id=name,
            v3_and_below_producer_id=producer.producer_id,
            v3_and_below_producer_epoch=producer.producer_epoch,
            v3_and_below_topics=[{"name": one, "partitions": (0,)} for one in topics],
        )
        told = {
            one.name: one.results_by_partition[0].partition_error_code
            for one in answer.results_by_topic_v3_and_below
        }
        assert told == {topics[0]: ErrorCode.operation_not_attempted, topics[1]: NO_TOPIC}

    async def test_a_group_of_a_transaction(
        self, user: Raw, administrator: Raw, name: str, topics: tuple[str, str]
    ) -> None:
        """Positions of a transaction need the right on the group too."""
        await allow(administrator, name, ALL, TRANSACTION, name)

        async def told() -> Any:
            answer = await ask(user, 25, 3, transactional_id=name, group_id="group")
            return answer.error_code

        async def refused() -> bool:
            return bool(await told() is NO_GROUP)

        await until(refused)
        part = {"committed_offset": 1, "committed_metadata": "", "committed_leader_epoch": -1}
        asked = [{"name": topics[0], "partitions": [part]}]
        answer = await ask(user, 28, 3, transactional_id=name, group_id="group", topics=asked)
        assert [one.partitions[0].error_code for one in answer.topics] == [NO_GROUP]

    async def test_produce(self, user: Raw, topics: tuple[str, str]) -> None:
        """Who may not use a transactional id may not write in its transactions."""
        whole_batch = bytearray(batch(b"a", producer=(1, 0, 0)))
        whole_batch[22] |= 1 << 4
        whole_batch[17:21] = crc32c(bytes(whole_batch[21:])).to_bytes(4)
        records = [{"index": 0, "records": bytes(whole_batch)}]
        answer = await ask(
            user,
            0,
            9,
            transactional_id="not.mine",
            acks=-1,
            timeout=1000,
            topic_data=[{"name": topics[0], "partition_data": records}],
        )
        assert answer.responses[0].partition_responses[0].error_code is NO_TRANSACTION


def bits(*operations: int) -> int:
    """Return operations as answers tell them."""
    return sum(1 << operation for operation in operations)


EVERYTHING_ON_A_TOPIC = bits(3, 4, 5, 6, 7, 8, 10, 11)
EVERYTHING_ON_A_GROUP = bits(3, 6, 8, 10, 11)
EVERYTHING_ON_THE_CLUSTER = bits(5, 7, 8, 9, 10, 11, 12)


class TestTold:
    """What one may do is told to who asks for it (KIP-430)."""

    async def make(self, administrator: Raw, name: str) -> None:
        """Make a topic and a group of this name."""
        await until(lambda: finds(administrator, name))
        await administrator.made(name)
        part = {"committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": ""}
        asked = [{"name": name, "partitions": [part]}]
        fields = {"group_id": name, "generation_id_or_member_epoch": -1, "topics": asked}

        async def committed() -> bool:
            (topic,) = (await ask(administrator, 8, 8, **fields)).topics
            return bool(topic.partitions[0].error_code == 0)

        await until(committed)

    async def test_administrators(self, administrator: Raw, name: str) -> None:
        """An administrator may do everything that there is."""
        await self.make(administrator, name)
        on_topic, on_cluster, on_group = await operations(administrator, name)
        assert on_topic == EVERYTHING_ON_A_TOPIC
        assert on_cluster == (EVERYTHING_ON_THE_CLUSTER, EVERYTHING_ON_THE_CLUSTER)
        assert on_group == EVERYTHING_ON_A_GROUP

    async def test_users(self, user: Raw, administrator: Raw, name: str) -> None:
        """Others are told what rules allow them, implied rights too."""
        await self.make(administrator, name)
        await allow(administrator, name, READ, GROUP, name)
        await allow(administrator, name, WRITE, TOPIC, name)
        await until(lambda: sees(user, name))
        assert await operations(user, name) == (bits(WRITE, DESCRIBE), (0, 0), bits(READ, DESCRIBE))
        await allow(administrator, name, DESCRIBE, CLUSTER, "kafka-cluster")

        async def told() -> bool:
            _, on_cluster, _ = await operations(user, name)
            return bool(on_cluster == (bits(DESCRIBE), bits(DESCRIBE)))

        await until(told)


async def operations(raw: Raw, name: str) -> Any:
    """Return what one may do on the topic, the cluster (asked twice) and the group of a name."""
    listed = await ask(
        raw,
        3,
        10,
        topics=[{"name": name}],
        include_topic_authorized_operations=True,
        include_cluster_authorized_operations=True,
    )
    (topic,) = listed.topics
    cluster = await ask(raw, 60, 1, include_cluster_authorized_operations=True, endpoint_type=1)
    groups = await ask(raw, 15, 5, groups=(name,), include_authorized_operations=True)
    return (
        topic.topic_authorized_operations,
        (listed.cluster_authorized_operations, cluster.cluster_authorized_operations),
        groups.groups[0].authorized_operations,
    )
