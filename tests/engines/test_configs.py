"""Configs of topics: described, set, taken back, replaced."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from tests.broker.raw import DEADLINE, Raw, batch
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs

NONE, INVALID = ErrorCode.none, ErrorCode.invalid_config
TOPIC, BROKER = 2, 4  # kinds of resources
SET, DELETE, APPEND, SUBTRACT = range(4)
OF_TOPIC, OF_BROKERS, DEFAULT = 1, 3, 5  # where a value comes from
BOOLEAN, STRING, INT, LONG, DOUBLE, LIST = 1, 2, 3, 5, 6, 7

Change = tuple[str, int, str | None]


async def described(raw: Raw, name: str, kind: int = TOPIC, **more: Any) -> Any:
    """Return what is answered for one resource."""
    answer = await raw.ask(
        ApiKey.DESCRIBE_CONFIGS,
        more.pop("version", 4),
        resources=[
            {"resource_type": kind, "resource_name": name, "configuration_keys": None, **more}
        ],
        include_synonyms=True,
        include_documentation=False,
    )
    return answer.results[0]


async def own(raw: Raw, topic: str) -> dict[str, str]:
    """Return the configs that a topic does not have by default."""
    found = await described(raw, topic)
    return {one.name: one.value for one in found.configs if one.config_source == OF_TOPIC}


async def until(raw: Raw, topic: str, configs: Mapping[str, str]) -> None:
    """Return once a topic has these configs of its own; each look is a request of its own."""
    async with asyncio.timeout(DEADLINE):
        while await own(raw, topic) != configs:
            continue


async def change(
    raw: Raw, topic: str, *changes: Change, kind: int = TOPIC, validate_only: bool = False
) -> ErrorCode:
    """Change single configs."""
    configs = [{"name": n, "config_operation": how, "value": v} for n, how, v in changes]
    resource = {"resource_type": kind, "resource_name": topic, "configs": configs}
    answer = await raw.ask(
        ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, resources=[resource], validate_only=validate_only
    )
    error: ErrorCode = answer.responses[0].error_code
    return error


async def replace(
    raw: Raw, topic: str, configs: Mapping[str, str | None], *, validate_only: bool = False
) -> ErrorCode:
    """Replace all configs."""
    given = [{"name": name, "value": value} for name, value in configs.items()]
    resource = {"resource_type": TOPIC, "resource_name": topic, "configs": given}
    answer = await raw.ask(
        ApiKey.ALTER_CONFIGS, 2, resources=[resource], validate_only=validate_only
    )
    error: ErrorCode = answer.responses[0].error_code
    return error


DEFAULTS = {
    "cleanup.policy": ("delete", LIST),
    "compression.gzip.level": ("-1", INT),
    "compression.lz4.level": ("9", INT),
    "compression.type": ("producer", STRING),
    "compression.zstd.level": ("3", INT),
    "delete.retention.ms": ("86400000", LONG),
    "file.delete.delay.ms": ("60000", LONG),
    "flush.messages": ("9223372036854775807", LONG),
    "flush.ms": ("9223372036854775807", LONG),
    "follower.replication.throttled.replicas": ("", LIST),
    "index.interval.bytes": ("4096", INT),
    "leader.replication.throttled.replicas": ("", LIST),
    "local.retention.bytes": ("-2", LONG),
    "local.retention.ms": ("-2", LONG),
    "max.compaction.lag.ms": ("9223372036854775807", LONG),
    "max.message.bytes": ("1048588", INT),
    "message.timestamp.after.max.ms": ("3600000", LONG),
    "message.timestamp.before.max.ms": ("9223372036854775807", LONG),
    "message.timestamp.type": ("CreateTime", STRING),
    "min.cleanable.dirty.ratio": ("0.5", DOUBLE),
    "min.compaction.lag.ms": ("0", LONG),
    "min.insync.replicas": ("1", INT),
    "preallocate": ("false", BOOLEAN),
    "remote.log.copy.disable": ("false", BOOLEAN),
    "remote.log.delete.on.disable": ("false", BOOLEAN),
    "remote.storage.enable": ("false", BOOLEAN),
    "retention.bytes": ("-1", LONG),
    "segment.bytes": ("1073741824", INT),
    "segment.index.bytes": ("10485760", INT),
    "segment.jitter.ms": ("0", LONG),
    "segment.ms": ("604800000", LONG),
    "unclean.leader.election.enable": ("false", BOOLEAN),
}


async def test_defaults(raw: Raw, topic: str) -> None:
    """A topic describes all configs that there are, with their types and defaults."""
    await raw.made(topic)
    found = await described(raw, topic)
    configs = {one.name: (one.value, one.config_type) for one in found.configs}
    # The brokers that tests run on may keep records for another time.
    assert configs.pop("retention.ms")[1] == LONG
    assert configs == DEFAULTS
    assert not any(one.read_only or one.is_sensitive for one in found.configs)


@pytest.mark.parametrize("version", range(1, 5))
async def test_describe(raw: Raw, topic: str, version: int) -> None:
    """Every version from 1 to 4 tells a topic's own configs from the defaults."""
    await raw.made(topic, retention_ms="5000")
    found = await described(raw, topic, version=version)
    sources = {one.name: (one.value, one.config_source) for one in found.configs}
    assert sources["retention.ms"] == ("5000", OF_TOPIC)
    assert sources["segment.ms"] == ("604800000", DEFAULT)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        pytest.param(["retention.ms", "no.such"], {"retention.ms"}, id="some"),
        pytest.param(["no.such"], set(), id="unknown"),
        pytest.param([], {*DEFAULTS, "retention.ms"}, id="an empty list is all"),
    ],
)
async def test_describe_some(raw: Raw, topic: str, keys: list[str], names: set[str]) -> None:
    """Only the configs that are asked for are described; unknown ones are left out."""
    await raw.made(topic)
    found = await described(raw, topic, configuration_keys=keys)
    assert (found.error_code, {one.name for one in found.configs}) == (NONE, names)


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        pytest.param(
            "engines.nobody-made-this",
            TOPIC,
            ErrorCode.unknown_topic_or_partition,
            id="unknown topic",
        ),
        pytest.param("no good", TOPIC, ErrorCode.invalid_topic_exception, id="invalid topic"),
        pytest.param("", TOPIC, ErrorCode.invalid_topic_exception, id="no topic"),
        pytest.param("99", BROKER, ErrorCode.invalid_request, id="another broker"),
        pytest.param("one", BROKER, ErrorCode.invalid_request, id="no broker"),
        pytest.param("x", 99, ErrorCode.invalid_request, id="an unknown kind of resource"),
    ],
)
async def test_what_cannot_be_described(raw: Raw, name: str, kind: int, error: ErrorCode) -> None:
    """Configs of what is not there cannot be described."""
    found = await described(raw, name, kind)
    assert (found.error_code, found.configs) == (error, ())


@pytest.mark.parametrize(
    "name",
    [
        "auto.create.topics.enable",
        "broker.id",
        "connections.max.idle.ms",
        "default.replication.factor",
        "log.dirs",
        "max.connections",
        "max.connections.per.ip",
        "message.max.bytes",
        "node.id",
        "num.partitions",
        "socket.request.max.bytes",
        "transaction.max.timeout.ms",
        "transactional.id.expiration.ms",
    ],
)
async def test_configs_of_the_broker(raw: Raw, name: str) -> None:
    """The broker describes the configs of its own that clients may have to know."""
    found = await described(raw, "1", BROKER, configuration_keys=[name])
    assert [(one.name, bool(one.value)) for one in found.configs] == [(name, True)]


async def test_set_and_delete(raw: Raw, topic: str) -> None:
    """Configs are set one by one, and go back to their defaults when they are deleted."""
    await raw.made(topic, segment_ms="5000")
    error = await change(raw, topic, ("retention.ms", SET, "1"), ("max.message.bytes", SET, "2"))
    assert error is NONE
    await until(raw, topic, {"segment.ms": "5000", "retention.ms": "1", "max.message.bytes": "2"})
    error = await change(raw, topic, ("retention.ms", SET, "3"), ("segment.ms", DELETE, None))
    assert error is NONE
    await until(raw, topic, {"retention.ms": "3", "max.message.bytes": "2"})
    assert (await change(raw, topic, ("retention.ms", DELETE, None))) is NONE
    await until(raw, topic, {"max.message.bytes": "2"})


@pytest.mark.parametrize(
    ("operation", "value", "before", "after"),
    [
        pytest.param(APPEND, "compact", None, "delete,compact", id="appended to the default"),
        pytest.param(APPEND, "compact", "compact", "compact", id="appended again"),
        pytest.param(APPEND, "delete,compact", "delete", "delete,compact", id="two appended"),
        pytest.param(SUBTRACT, "delete", "delete,compact", "compact", id="subtracted"),
        pytest.param(SUBTRACT, "delete", None, "", id="subtracted from the default"),
        pytest.param(SUBTRACT, "compact", "delete", "delete", id="subtracted though not there"),
        pytest.param(SET, "compact, delete", None, "compact,delete", id="set with blanks"),
        pytest.param(SET, "compact,compact", None, "compact", id="set twice"),
    ],
)
async def test_lists(
    raw: Raw, topic: str, operation: int, value: str, before: str | None, after: str
) -> None:
    """Lists can be appended to and subtracted from; each item is there once."""
    await raw.made(topic)
    if before is not None:
        await change(raw, topic, ("cleanup.policy", SET, before))
        await until(raw, topic, {"cleanup.policy": before})
    assert await change(raw, topic, ("cleanup.policy", operation, value)) is NONE
    await until(raw, topic, {"cleanup.policy": after})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param([("no.such", SET, "1")], INVALID, id="unknown config"),
        pytest.param([("retention.ms", SET, "soon")], INVALID, id="bad value"),
        pytest.param(
            [("retention.ms", SET, "5"), ("retention.bytes", SET, "x")],
            INVALID,
            id="one good, one bad",
        ),
        pytest.param([("retention.ms", SET, None)], ErrorCode.invalid_request, id="set to nothing"),
        pytest.param(
            [("cleanup.policy", APPEND, None)], ErrorCode.invalid_request, id="nothing appended"
        ),
        pytest.param([("retention.ms", APPEND, "5")], INVALID, id="appended to a number"),
        pytest.param([("retention.ms", SUBTRACT, "5")], INVALID, id="subtracted from a number"),
        pytest.param([("cleanup.policy", APPEND, "x")], INVALID, id="appended a bad value"),
        pytest.param(
            [("retention.ms", SET, "5"), ("retention.ms", SET, "6")],
            ErrorCode.invalid_request,
            id="set twice",
        ),
        pytest.param(
            [("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "9")],
            INVALID,
            id="compacted at the latest before it may be",
        ),
    ],
)
async def test_what_cannot_be_changed(
    raw: Raw, topic: str, changes: list[Change], error: ErrorCode
) -> None:
    """A change that cannot be made leaves all configs as they are."""
    await raw.made(topic, segment_ms="5000")
    assert await change(raw, topic, *changes) is error
    assert await own(raw, topic) == {"segment.ms": "5000"}


async def test_delete_what_was_not_set(raw: Raw, topic: str) -> None:
    """Deleting a config that was not set, or is unknown, changes nothing."""
    await raw.made(topic)
    error = await change(raw, topic, ("retention.ms", DELETE, None), ("no.such", DELETE, None))
    assert (error, await own(raw, topic)) == (NONE, {})


@pytest.mark.parametrize(
    ("name", "kind", "error"),
    [
        pytest.param(
            "engines.nobody-made-this",
            TOPIC,
            ErrorCode.unknown_topic_or_partition,
            id="unknown topic",
        ),
        pytest.param("no good", TOPIC, ErrorCode.invalid_topic_exception, id="invalid topic"),
        pytest.param("", TOPIC, ErrorCode.invalid_request, id="no topic"),
        pytest.param("x", 99, ErrorCode.invalid_request, id="an unknown kind of resource"),
    ],
)
async def test_whose_configs_cannot_be_changed(
    raw: Raw, name: str, kind: int, error: ErrorCode
) -> None:
    """Configs of what is not there cannot be changed."""
    assert await change(raw, name, ("retention.ms", SET, "5"), kind=kind) is error


async def inherited(raw: Raw, topic: str, name: str) -> tuple[str, int]:
    """Return a topic's value of a config, and where it comes from."""
    found = await described(raw, topic)
    ((value, source),) = [(c.value, c.config_source) for c in found.configs if c.name == name]
    return value, source


async def until_inherited(raw: Raw, topic: str, name: str, wanted: tuple[str, int]) -> None:
    """Return once a topic has this value, from there; each look is a request of its own."""
    async with asyncio.timeout(DEADLINE):
        while await inherited(raw, topic, name) != wanted:
            continue


@differs("the broker's configs are the node's settings, which are read when it starts")
async def test_change_the_broker(raw: Raw, engine: Engine, topic: str) -> None:
    """Some configs of the brokers can be changed while they run, and topics follow."""
    await raw.made(topic)
    before = await inherited(raw, topic, "retention.bytes")
    assert before == ("-1", DEFAULT)
    # So much that no other test's topic loses anything by it.
    much = str(2**50)
    changed = await change(raw, "", ("log.retention.bytes", SET, much), kind=BROKER)
    if engine.name == EMBEDDED:
        assert changed is ErrorCode.invalid_request
        assert await inherited(raw, topic, "retention.bytes") == before
        return
    try:
        assert changed is NONE
        await until_inherited(raw, topic, "retention.bytes", (much, OF_BROKERS))
    finally:
        assert await change(raw, "", ("log.retention.bytes", DELETE, None), kind=BROKER) is NONE
    await until_inherited(raw, topic, "retention.bytes", before)


async def test_change_what_the_broker_is(raw: Raw) -> None:
    """What a broker is cannot be changed while it runs."""
    error = await change(raw, "1", ("node.id", SET, "7"), kind=BROKER)
    assert error is ErrorCode.invalid_request


@pytest.mark.parametrize("replaced", [False, True], ids=["changed", "replaced"])
async def test_validate_only(raw: Raw, topic: str, replaced: bool) -> None:
    """With validate only configs are judged, and stay as they are."""
    await raw.made(topic, segment_ms="5000")
    for value, error in (("1", NONE), ("soon", INVALID)):
        if replaced:
            found = await replace(raw, topic, {"retention.ms": value}, validate_only=True)
        else:
            found = await change(raw, topic, ("retention.ms", SET, value), validate_only=True)
        assert found is error
    assert await own(raw, topic) == {"segment.ms": "5000"}


async def test_replace(raw: Raw, topic: str) -> None:
    """AlterConfigs replaces all configs: what is not named goes back to its default."""
    await raw.made(topic, segment_ms="5000", retention_ms="5")
    assert await replace(raw, topic, {"retention.ms": "6", "max.message.bytes": "7"}) is NONE
    await until(raw, topic, {"retention.ms": "6", "max.message.bytes": "7"})
    assert await replace(raw, topic, {}) is NONE
    await until(raw, topic, {})


@pytest.mark.parametrize(
    ("configs", "error"),
    [
        pytest.param({"no.such": "1"}, INVALID, id="unknown config"),
        pytest.param({"retention.ms": "soon"}, INVALID, id="bad value"),
        pytest.param({"retention.ms": None}, ErrorCode.invalid_request, id="no value"),
        pytest.param(
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"},
            INVALID,
            id="compacted at the latest before it may be",
        ),
    ],
)
async def test_what_cannot_replace(
    raw: Raw, topic: str, configs: dict[str, str | None], error: ErrorCode
) -> None:
    """A replacement that cannot be leaves all configs as they are."""
    await raw.made(topic, segment_ms="5000")
    assert await replace(raw, topic, configs) is error
    assert await own(raw, topic) == {"segment.ms": "5000"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        pytest.param(*case, id=case[0])
        for case in [
            ("cleanup.policy", ["", "compact", "delete,compact"], ["none", "compact,none"]),
            ("compression.gzip.level", ["-1", "1", "9"], ["0", "10"]),
            ("compression.lz4.level", ["1", "17"], ["0", "18"]),
            ("compression.type", ["uncompressed", "zstd", "producer"], ["none", "GZIP"]),
            ("compression.zstd.level", ["-131072", "22"], ["23"]),
            ("delete.retention.ms", ["0"], ["-1"]),
            ("file.delete.delay.ms", ["0"], ["-1"]),
            ("flush.messages", ["1"], ["0"]),
            ("flush.ms", ["0"], ["-1"]),
            ("index.interval.bytes", ["0"], ["-1"]),
            ("leader.replication.throttled.replicas", ["", "*", "0:1,1:1"], ["x"]),
            ("max.compaction.lag.ms", ["1"], ["0"]),
            ("max.message.bytes", ["0", "2147483647"], ["-1", "2147483648"]),
            ("message.timestamp.after.max.ms", ["0"], ["-1"]),
            ("message.timestamp.type", ["CreateTime", "LogAppendTime"], ["logappendtime"]),
            ("min.cleanable.dirty.ratio", ["0", "1", "1e-1"], ["1.5", "-0.1", "nan", "half"]),
            ("min.compaction.lag.ms", ["0"], ["-1"]),
            ("min.insync.replicas", ["1"], ["0"]),
            ("preallocate", ["true", "FALSE"], ["yes", "1"]),
            ("remote.storage.enable", ["false"], ["true"]),
            ("retention.bytes", ["-2", "-1", "0"], ["x"]),
            (
                "retention.ms",
                ["-1", "0", "+5", "  70 ", "9223372036854775807"],
                ["-2", "1_000", "0x5", "5.0", "", "9223372036854775808"],
            ),
            ("segment.bytes", ["1048576"], ["1048575"]),
            ("segment.index.bytes", ["4"], ["3"]),
            ("segment.jitter.ms", ["0"], ["-1"]),
            ("segment.ms", ["1"], ["0"]),
            ("unclean.leader.election.enable", ["true"], ["maybe"]),
        ]
    ],
)
async def test_values(raw: Raw, topic: str, name: str, good: list[str], bad: list[str]) -> None:
    """Each config takes the values of its kind, within its limits."""
    await raw.made(topic)
    found = {
        value: await change(raw, topic, (name, SET, value), validate_only=True)
        for value in good + bad
    }
    assert found == dict.fromkeys(good, NONE) | dict.fromkeys(bad, INVALID)


async def test_values_are_trimmed(raw: Raw, topic: str) -> None:
    """Blanks around a value are not part of it."""
    await raw.made(topic)
    assert await change(raw, topic, ("retention.ms", SET, "  70 ")) is NONE
    await until(raw, topic, {"retention.ms": "70"})


async def test_a_change_takes_effect(raw: Raw, topic: str) -> None:
    """A changed config holds for what comes after."""
    await raw.made(topic)
    await raw.produce(topic, batch(b"x" * 1000))
    assert await change(raw, topic, ("max.message.bytes", SET, "500")) is NONE
    async with asyncio.timeout(DEADLINE):
        while (await raw.produce(topic, batch(b"x" * 1000))).error_code is NONE:
            continue  # each look is a request of its own
    refused = await raw.produce(topic, batch(b"x" * 1000))
    assert refused.error_code is ErrorCode.message_too_large
    assert (await raw.produce(topic, batch(b"x" * 100))).error_code is NONE


@differs("names the value itself alone, as it has no names of its own for what topics inherit")
async def test_synonyms(raw: Raw, topic: str, engine: Engine) -> None:
    """A value is named with those that it stands before, down to the default."""
    await raw.made(topic, retention_bytes="5")
    found = await described(raw, topic)
    (config,) = [one for one in found.configs if one.name == "retention.bytes"]
    named = [(one.name, one.value, one.source) for one in config.synonyms]
    default = [("log.retention.bytes", "-1", DEFAULT)]
    assert named == [
        ("retention.bytes", "5", OF_TOPIC),
        *(default if engine.name != EMBEDDED else []),
    ]
