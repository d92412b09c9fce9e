"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.configs import TOPIC_CONFIGS, ConfigType, Source, inherited, problem_of, tidied
from bus.broker.documentation import DOCUMENTATION
from bus.broker.engine import NODE_ID, Engine
from bus.broker.topics import Topic, name_problem
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed

TOPIC, BROKER = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)

Verdict = tuple[ErrorCode, str]
_FINE: Verdict = (ErrorCode.none, "")


async def describe_configs(engine: Engine, request: Request) -> Fields:
    """List the configs of topics and of the broker, with where each comes from."""
    body = request.body

    def described(resource: Any) -> Fields:
        error, reason, configs = _described(engine, resource.resource_type, resource.resource_name)
        keys = resource.configuration_keys
        if not body.include_synonyms:
            configs = [config | {"synonyms": ()} for config in configs]
        if not getattr(body, "include_documentation", False):
            configs = [config | {"documentation": None} for config in configs]
        return {
            "error_code": error,
            "error_message": reason,
            "resource_type": resource.resource_type,
            "resource_name": resource.resource_name,
            "configs": [c for c in configs if not keys or c["name"] in keys],
        }

    return {"results": Each(described, body.resources)}


def _described(
    engine: Engine, kind: int, name: str
) -> tuple[ErrorCode, str | None, list[dict[str, Any]]]:
    if kind == TOPIC:
        if reason := name_problem(name):
            return ErrorCode.invalid_topic_exception, reason, []
        topic = engine.topics.get(name)
        if topic is None:
            return ErrorCode.unknown_topic_or_partition, None, []
        return ErrorCode.none, None, _topic_configs(engine, topic)
    if kind == BROKER and name in {"", str(NODE_ID)}:
        return ErrorCode.none, None, _broker_configs(engine)
    return ErrorCode.invalid_request, "there are topics, and one broker", []


def _topic_configs(engine: Engine, topic: Topic) -> list[dict[str, Any]]:
    configs = []
    for name, config in TOPIC_CONFIGS.items():
        value, source = inherited(name, engine.settings)
        if name in topic.configs:
            value, source = topic.configs[name], Source.TOPIC
        made = _config(name, value, source, config.kind, read_only=False)
        configs.append(made | {"documentation": DOCUMENTATION[name]})
    return configs


def _broker_configs(engine: Engine) -> list[dict[str, Any]]:
    settings = engine.settings
    fixed = {
        "advertised.listeners": (f"PLAINTEXT://{engine.address}", ConfigType.STRING),
        "auto.create.topics.enable": ("false", ConfigType.BOOLEAN),
        "broker.id": (str(NODE_ID), ConfigType.INT),
        "connections.max.idle.ms": (str(round(settings.idle_seconds * 1000)), ConfigType.LONG),
        "default.replication.factor": ("1", ConfigType.INT),
        "log.dirs": (str(engine.path.parent), ConfigType.STRING),
        "max.connections": (str(settings.max_connections), ConfigType.INT),
        "max.connections.per.ip": (str(settings.max_connections_per_address), ConfigType.INT),
        "message.max.bytes": (str(settings.max_batch_bytes), ConfigType.INT),
        "node.id": (str(NODE_ID), ConfigType.INT),
        "num.partitions": ("1", ConfigType.INT),
        "socket.request.max.bytes": (str(settings.max_frame_bytes), ConfigType.INT),
        "transaction.max.timeout.ms": (str(settings.transaction_max_timeout_ms), ConfigType.INT),
        "transactional.id.expiration.ms": (
            str(settings.transactional_id_expiration_ms),
            ConfigType.INT,
        ),
    }
    return [
        _config(name, value, Source.STATIC_BROKER, kind, read_only=True)
        for name, (value, kind) in fixed.items()
    ]


def _config(
    name: str, value: str, source: Source, kind: ConfigType, *, read_only: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "read_only": read_only,
        "config_source": source,
        "is_sensitive": False,
        "synonyms": [{"name": name, "value": value, "source": source}],
        "config_type": kind,
        "documentation": None,
    }


async def alter_configs(engine: Engine, request: Request) -> Fields:
    """Replace all configs of topics: what is not named falls back to its default."""
    responses = []
    for resource in request.body.resources:
        wanted = {config.name: config.value for config in resource.configs}
        responses.append(await _altered(engine, resource, wanted, request.body.validate_only))
    return {"responses": responses}


async def incremental_alter_configs(engine: Engine, request: Request) -> Fields:
    """Change single configs of topics."""
    responses = []
    for resource in request.body.resources:
        topic = engine.topics.get(resource.resource_name)
        wanted: dict[str, str | None] = dict(topic.configs) if topic else {}
        for config in resource.configs:
            _apply(wanted, config.name, config.config_operation, config.value)
        responses.append(await _altered(engine, resource, wanted, request.body.validate_only))
    return {"responses": responses}


def _apply(configs: dict[str, str | None], name: str, operation: int, value: str | None) -> None:
    if operation == DELETE:
        configs.pop(name, None)
        return
    known = TOPIC_CONFIGS.get(name)
    if operation == SET or known is None or known.kind is not ConfigType.LIST:
        # Appending to what is no list is refused: an empty value fails the check that follows.
        configs[name] = value if operation == SET else None
        return
    before = list(filter(None, (configs.get(name) or known.default).split(",")))
    given = list(filter(None, (value or "").split(",")))
    if operation == APPEND:
        after = before + [item for item in given if item not in before]
    else:
        after = [item for item in before if item not in given]
    configs[name] = ",".join(after)


async def _altered(
    engine: Engine, resource: Any, wanted: Mapping[str, str | None], validate_only: bool
) -> Fields:
    error, reason = _target_problem(engine, resource)
    topic = engine.topics.get(resource.resource_name)
    if error is ErrorCode.none:
        error, reason = _changes_problem(resource.configs)
    if error is ErrorCode.none and (reason := problem_of(wanted)):
        error = ErrorCode.invalid_config
    if error is ErrorCode.none and topic is not None and not validate_only:
        error, reason = await _store(engine, topic, wanted)
    return {
        "error_code": error,
        "error_message": reason or None,
        "resource_type": resource.resource_type,
        "resource_name": resource.resource_name,
    }


def _target_problem(engine: Engine, resource: Any) -> Verdict:
    """Say why what shall be changed cannot be."""
    name = resource.resource_name
    if resource.resource_type != TOPIC or not name:
        return ErrorCode.invalid_request, "only topics have configs that can be changed"
    if reason := name_problem(name):
        return ErrorCode.invalid_topic_exception, reason
    if engine.topics.get(name) is None:
        return ErrorCode.unknown_topic_or_partition, "there is no such topic"
    return _FINE


def _changes_problem(changes: Sequence[Any]) -> Verdict:
    """Say why changes cannot be made whatever the configs are."""
    named = Counter(change.name for change in changes)
    for change in changes:
        if named[change.name] > 1:
            return ErrorCode.invalid_request, f"{change.name} is named more than once"
        if change.value is None and getattr(change, "config_operation", SET) != DELETE:
            return ErrorCode.invalid_request, f"Null value not supported for: {change.name}"
    return _FINE


async def _store(
    engine: Engine, topic: Topic, wanted: Mapping[str, str | None]
) -> tuple[ErrorCode, str]:
    configs = {name: tidied(name, value) for name, value in wanted.items() if value is not None}
    try:
        await engine.change(lambda store: store.topics.configure(topic.number, configs))
    except StorageFailed as failure:
        return ErrorCode.kafka_storage_error, str(failure)
    topic.configure(configs)
    engine.govern(topic)
    return ErrorCode.none, ""
