"""Topics: made, given more partitions, deleted, listed."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import DEADLINE, Raw, batch
from tests.broker.raw import topic as fields_of
from tests.engines.log import stored

NONE = ErrorCode.none
INVALID_NAME = ErrorCode.invalid_topic_exception


async def create(raw: Raw, *wanted: Mapping[str, Any], validate_only: bool = False) -> list[Any]:
    """Make topics, and return what is answered for each."""
    answer = await raw.ask(
        ApiKey.CREATE_TOPICS, 7, topics=wanted, timeout=5000, validate_only=validate_only
    )
    return list(answer.topics)


async def partitions(raw: Raw, topic: str) -> int | None:
    """Return how many partitions a topic has; None if there is no such topic."""
    answer = await raw.ask(ApiKey.METADATA, 1, topics=[{"name": topic}])
    found = answer.topics[0]
    return len(found.partitions) if found.error_code is NONE else None


async def until(raw: Raw, topic: str, count: int | None) -> None:
    """Return once a topic has so many partitions; each look is a request of its own."""
    async with asyncio.timeout(DEADLINE):
        while await partitions(raw, topic) != count:
            continue


def assigned(name: str, *replicas: tuple[int, list[int]], partitions: int = -1) -> dict[str, Any]:
    """Return a topic whose partitions are assigned to brokers."""
    return {
        **fields_of(name, partitions),
        "replication_factor": -1,
        "assignments": [{"partition_index": n, "broker_ids": ids} for n, ids in replicas],
    }


@pytest.mark.parametrize("version", range(2, 8))
async def test_create(raw: Raw, topic: str, version: int) -> None:
    """A topic is made with the partitions that were asked for, in every version from 2 to 7."""
    answer = await raw.ask(
        ApiKey.CREATE_TOPICS,
        version,
        topics=[fields_of(topic, 3)],
        timeout=5000,
        validate_only=False,
    )
    (made,) = answer.topics
    assert (made.name, made.error_code) == (topic, NONE)
    assert version < 5 or (made.num_partitions, made.replication_factor) == (3, 1)
    assert version < 7 or made.topic_id not in {None, UUID(int=0)}
    await until(raw, topic, 3)


async def test_validate_only(raw: Raw, topic: str) -> None:
    """With validate only a topic is judged and described, but not made."""
    (judged,) = await create(raw, fields_of(topic, 3), validate_only=True)
    assert (judged.error_code, judged.num_partitions) == (NONE, 3)
    assert await partitions(raw, topic) is None


async def test_defaults(raw: Raw, topic: str) -> None:
    """A topic of -1 partitions and -1 replicas gets the broker's defaults."""
    (made,) = await create(raw, fields_of(topic, -1) | {"replication_factor": -1})
    assert (made.error_code, made.num_partitions, made.replication_factor) == (NONE, 1, 1)
    await until(raw, topic, 1)


async def test_configs_of_a_new_topic(raw: Raw, topic: str) -> None:
    """The answer lists the new topic's configs: those that were given, and the defaults."""
    (made,) = await create(raw, fields_of(topic, configs={"retention.ms": "5000"}))
    found = {one.name: (one.value, one.config_source) for one in made.configs}
    assert found["retention.ms"] == ("5000", 1)
    assert found["cleanup.policy"] == ("delete", 5)


async def test_assignments(raw: Raw, topic: str) -> None:
    """Partitions can be assigned to brokers: there are as many as assignments."""
    (made,) = await create(raw, assigned(topic, (1, [1]), (0, [1])))
    assert (made.error_code, made.num_partitions) == (NONE, 2)
    await until(raw, topic, 2)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param({"num_partitions": 0}, ErrorCode.invalid_partitions, id="no partitions"),
        pytest.param({"num_partitions": -2}, ErrorCode.invalid_partitions, id="-2 partitions"),
        pytest.param(
            {"num_partitions": 10**6}, ErrorCode.policy_violation, id="a million partitions"
        ),
        pytest.param(
            {"replication_factor": 0}, ErrorCode.invalid_replication_factor, id="no replicas"
        ),
        pytest.param(
            {"replication_factor": 3},
            ErrorCode.invalid_replication_factor,
            id="more replicas than brokers",
        ),
        pytest.param(
            {"replication_factor": -2}, ErrorCode.invalid_replication_factor, id="-2 replicas"
        ),
        pytest.param(
            {"configs": [{"name": "no.such", "value": "1"}]},
            ErrorCode.invalid_config,
            id="unknown config",
        ),
        pytest.param(
            {"configs": [{"name": "retention.ms", "value": "soon"}]},
            ErrorCode.invalid_config,
            id="bad value of a config",
        ),
        pytest.param(
            {"configs": [{"name": "retention.ms", "value": None}]},
            ErrorCode.invalid_config,
            id="config without a value",
        ),
        pytest.param(assigned("", (0, [2])), ErrorCode.invalid_replica_assignment, id="no broker"),
        pytest.param(
            assigned("", (0, [1, 1])), ErrorCode.invalid_replica_assignment, id="twice on a broker"
        ),
        pytest.param(
            assigned("", (0, [])), ErrorCode.invalid_replica_assignment, id="on no broker"
        ),
        pytest.param(
            assigned("", (0, [1]), (2, [1])),
            ErrorCode.invalid_replica_assignment,
            id="a partition left out",
        ),
        pytest.param(
            assigned("", (0, [1]), (0, [1])),
            ErrorCode.invalid_replica_assignment,
            id="a partition twice",
        ),
        pytest.param(
            assigned("", (0, [1]), partitions=1), ErrorCode.invalid_request, id="also counted"
        ),
    ],
)
@pytest.mark.parametrize("validate_only", [True, False], ids=["validate only", "make"])
async def test_what_cannot_be_made(
    raw: Raw, topic: str, more: Mapping[str, Any], error: ErrorCode, validate_only: bool
) -> None:
    """Counts, assignments and configs that cannot be are refused, and nothing is made."""
    wanted = {**fields_of(topic), **more, "name": topic}
    (refused,) = await create(raw, wanted, validate_only=validate_only)
    assert refused.error_code is error
    assert refused.error_message
    assert await partitions(raw, topic) is None


async def test_existing_topics(raw: Raw, topic: str) -> None:
    """A topic that exists already is left as it is."""
    await raw.made(topic, 2)
    (refused,) = await create(raw, fields_of(topic, 5))
    assert refused.error_code is ErrorCode.topic_already_exists
    assert await partitions(raw, topic) == 2


async def test_several_topics(raw: Raw, topic: str) -> None:
    """Topics of one request are judged one by one; one that is named twice is not made."""
    names = [f"{topic}.{end}" for end in ("good", "twice", "also-good", "twice", "bad name")]
    answers = await create(raw, *map(fields_of, names))
    assert {one.name: one.error_code for one in answers} == {
        names[0]: NONE,
        names[1]: ErrorCode.invalid_request,
        names[2]: NONE,
        names[4]: INVALID_NAME,
    }
    await until(raw, names[2], 1)
    assert await partitions(raw, names[1]) is None


def long(length: int) -> str:
    """Return a name of so many characters that nobody has used."""
    return uuid.uuid4().hex.ljust(length, "x")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param(f"ok.-_9AZaz.{long(32)}", NONE, id="all legal characters"),
        pytest.param(long(249), NONE, id="249 characters"),
        pytest.param(long(250), INVALID_NAME, id="250 characters"),
        pytest.param("", INVALID_NAME, id="empty"),
        pytest.param(".", INVALID_NAME, id="one dot"),
        pytest.param("..", INVALID_NAME, id="two dots"),
        pytest.param("a b", INVALID_NAME, id="blank"),
        pytest.param("a/b", INVALID_NAME, id="slash"),
        pytest.param("a\n", INVALID_NAME, id="line feed"),
        pytest.param("straße", INVALID_NAME, id="not ASCII"),
    ],
)
async def test_names(raw: Raw, name: str, error: ErrorCode) -> None:
    """Names have 1 to 249 ASCII letters, digits, dots, underscores and hyphens."""
    (answer,) = await create(raw, fields_of(name))
    assert answer.error_code is error
    if error is NONE:
        await raw.usable(name)
        assert (await raw.produce(name, batch(b"x"))).base_offset == 0


async def test_names_that_collide(raw: Raw, topic: str) -> None:
    """Names that differ only in dots and underscores exclude each other."""
    await raw.made(topic)
    (refused,) = await create(raw, fields_of(topic.replace(".", "_")))
    assert refused.error_code is INVALID_NAME


async def grow(
    raw: Raw, *wanted: tuple[str, int, list[list[int]] | None], validate_only: bool = False
) -> list[ErrorCode]:
    """Give topics more partitions, and return the error for each."""
    answer = await raw.ask(
        ApiKey.CREATE_PARTITIONS,
        3,
        topics=[
            {
                "name": name,
                "count": count,
                "assignments": assignments and [{"broker_ids": ids} for ids in assignments],
            }
            for name, count, assignments in wanted
        ],
        timeout=5000,
        validate_only=validate_only,
    )
    return [one.error_code for one in answer.results]


@pytest.mark.parametrize("assignments", [None, [[1], [1]]], ids=["anywhere", "assigned"])
async def test_more_partitions(raw: Raw, topic: str, assignments: list[list[int]] | None) -> None:
    """A topic can be given more partitions: they are empty, the others keep what they have."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"kept"))
    assert await grow(raw, (topic, 3, assignments)) == [NONE]
    await raw.usable(topic, 3)
    assert [len(await stored(raw, topic, partition=index)) for index in range(3)] == [1, 0, 0]
    assert (await raw.produce(topic, batch(b"new"), partition=2)).base_offset == 0


async def test_more_partitions_validate_only(raw: Raw, topic: str) -> None:
    """With validate only no partitions are added."""
    await raw.made(topic)
    assert await grow(raw, (topic, 3, None), validate_only=True) == [NONE]
    assert await partitions(raw, topic) == 1


@pytest.mark.parametrize(
    ("count", "assignments", "error"),
    [
        pytest.param(1, None, ErrorCode.invalid_partitions, id="fewer"),
        pytest.param(2, None, ErrorCode.invalid_partitions, id="as many"),
        pytest.param(0, None, ErrorCode.invalid_partitions, id="none"),
        pytest.param(-1, None, ErrorCode.invalid_partitions, id="-1"),
        pytest.param(
            4, [[1]], ErrorCode.invalid_replica_assignment, id="fewer assignments than partitions"
        ),
        pytest.param(3, [[2]], ErrorCode.invalid_replica_assignment, id="assigned to no broker"),
    ],
)
async def test_what_cannot_be_added(
    raw: Raw, topic: str, count: int, assignments: list[list[int]] | None, error: ErrorCode
) -> None:
    """A topic cannot have as many partitions as before, or fewer."""
    await raw.made(topic, 2)
    assert await grow(raw, (topic, count, assignments)) == [error]
    assert await partitions(raw, topic) == 2


async def test_more_partitions_of_unknown_topics(raw: Raw, topic: str) -> None:
    """A topic that is not there cannot be given more partitions."""
    assert await grow(raw, (topic, 3, None)) == [ErrorCode.unknown_topic_or_partition]


async def test_more_partitions_twice(raw: Raw, topic: str) -> None:
    """A topic that is named twice in a request is given no partitions."""
    await raw.made(topic)
    errors = await grow(raw, (topic, 2, None), (topic, 3, None))
    assert set(errors) == {ErrorCode.invalid_request}
    assert await partitions(raw, topic) == 1


async def test_delete(raw: Raw, topic: str) -> None:
    """Topics are deleted by name, one by one; those that are not there are named."""
    await raw.made(topic)
    gone = f"{topic}.gone"
    answer = await raw.ask(ApiKey.DELETE_TOPICS, 3, topic_names=[topic, gone, ""], timeout=5000)
    assert {one.name: one.error_code for one in answer.responses} == {
        topic: NONE,
        gone: ErrorCode.unknown_topic_or_partition,
        "": ErrorCode.unknown_topic_or_partition,
    }
    await until(raw, topic, None)


@pytest.mark.parametrize("version", range(1, 6))
async def test_delete_versions(raw: Raw, topic: str, version: int) -> None:
    """Every version from 1 to 5 deletes by name."""
    await raw.made(topic)
    answer = await raw.ask(ApiKey.DELETE_TOPICS, version, topic_names=[topic], timeout=5000)
    assert answer.responses[0].error_code is NONE
    await until(raw, topic, None)


async def delete(raw: Raw, *wanted: tuple[str | None, UUID | None]) -> list[Any]:
    """Delete topics by name or id, and return what is answered for each."""
    answer = await raw.ask(
        ApiKey.DELETE_TOPICS,
        6,
        topics=[{"name": name, "topic_id": id_} for name, id_ in wanted],
        timeout=5000,
    )
    return list(answer.responses)


async def test_delete_by_id(raw: Raw, topic: str) -> None:
    """Topics are deleted by id too; an unknown id is refused."""
    (made,) = await create(raw, fields_of(topic))
    await raw.usable(topic)
    answers = await delete(raw, (None, made.topic_id), (None, UUID(int=12345)))
    assert {one.topic_id: one.error_code for one in answers} == {
        made.topic_id: NONE,
        UUID(int=12345): ErrorCode.unknown_topic_id,
    }
    assert topic in {one.name for one in answers}
    await until(raw, topic, None)


async def test_delete_twice(raw: Raw, topic: str) -> None:
    """A topic that is named twice in a request is not deleted."""
    await raw.made(topic)
    answers = await delete(raw, (topic, None), (topic, None))
    assert {one.error_code for one in answers} == {ErrorCode.invalid_request}
    assert await partitions(raw, topic) == 1


async def test_delete_by_name_and_id(raw: Raw, topic: str) -> None:
    """A topic is named either by name or by id: both at once are refused."""
    (made,) = await create(raw, fields_of(topic))
    await raw.usable(topic)
    (refused,) = await delete(raw, (topic, made.topic_id))
    assert refused.error_code is ErrorCode.invalid_request
    assert await partitions(raw, topic) == 1


async def test_a_new_topic_has_a_new_id(raw: Raw, topic: str) -> None:
    """A topic that was deleted and made again has another id."""
    (first,) = await create(raw, fields_of(topic))
    await delete(raw, (topic, None))
    await until(raw, topic, None)
    (second,) = await create(raw, fields_of(topic))
    assert (second.error_code, second.topic_id == first.topic_id) == (NONE, False)


async def test_changes_by_many_at_once(address: Address, topic: str) -> None:
    """Of many who make the same topic at once, one does."""

    async def make() -> ErrorCode:
        async with await Raw.to(address) as raw:
            (made,) = await create(raw, fields_of(topic))
            error: ErrorCode = made.error_code
            return error

    found = await asyncio.gather(*(make() for _ in range(10)))
    assert sorted(found) == [NONE] + [ErrorCode.topic_already_exists] * 9
