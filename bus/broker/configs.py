"""Topic configs: those that Kafka knows, what they may hold, and what they are by default."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from bus.settings import BrokerSettings

_LONGEST = 2**63 - 1
_LARGEST = 2**31 - 1
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")
_REPLICA = re.compile(r"([0-9]+:[0-9]+)?")


class ConfigType(IntEnum):
    """The kind of a config's value, as DescribeConfigs numbers it."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    LONG = 5
    DOUBLE = 6
    LIST = 7


class Source(IntEnum):
    """Where a config's value comes from, as DescribeConfigs numbers it."""

    TOPIC = 1
    STATIC_BROKER = 4
    DEFAULT = 5


Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Config:
    """One topic config.

    Attributes:
        default: Kafka's default.
        kind: the type of its value.
        check: whether a value may be stored.
    """

    default: str
    kind: ConfigType
    check: Check


def _boolean(value: str) -> bool:
    return value.lower() in {"true", "false"}


def _between(low: int, high: int) -> Check:
    return lambda value: bool(_NUMBER.fullmatch(value)) and low <= int(value) <= high


def _ratio(value: str) -> bool:
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


def _one_of(*choices: str) -> Check:
    return lambda value: value in choices


def _some_of(*choices: str) -> Check:
    return lambda value: set(filter(None, value.split(","))) <= set(choices)


def _gzip_level(value: str) -> bool:
    return value == "-1" or _between(1, 9)(value)


def _replicas(value: str) -> bool:
    return value == "*" or all(map(_REPLICA.fullmatch, value.split(",")))


def _only_false(value: str) -> bool:
    return value.lower() == "false"


def _flag(default: str) -> Config:
    return Config(default, ConfigType.BOOLEAN, _boolean)


def _int(default: int, low: int = 0, high: int = _LARGEST) -> Config:
    return Config(str(default), ConfigType.INT, _between(low, high))


def _long(default: int, low: int = 0, high: int = _LONGEST) -> Config:
    return Config(str(default), ConfigType.LONG, _between(low, high))


def _word(default: str, *choices: str) -> Config:
    return Config(default, ConfigType.STRING, _one_of(*choices))


# Names, defaults and ranges: Apache Kafka's documentation, "Topic Configs".
TOPIC_CONFIGS: Mapping[str, Config] = {
    "cleanup.policy": Config("delete", ConfigType.LIST, _some_of("delete", "compact")),
    "compression.gzip.level": Config("-1", ConfigType.INT, _gzip_level),
    "compression.lz4.level": _int(9, 1, 17),
    "compression.type": _word(
        "producer", "producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"
    ),
    "compression.zstd.level": _int(3, -131072, 22),
    "delete.retention.ms": _long(86_400_000),
    "file.delete.delay.ms": _long(60_000),
    "flush.messages": _long(_LONGEST, 1),
    "flush.ms": _long(_LONGEST),
    "follower.replication.throttled.replicas": Config("", ConfigType.LIST, _replicas),
    "index.interval.bytes": _int(4096),
    "leader.replication.throttled.replicas": Config("", ConfigType.LIST, _replicas),
    "local.retention.bytes": _long(-2, -2),
    "local.retention.ms": _long(-2, -2),
    "max.compaction.lag.ms": _long(_LONGEST, 1),
    "max.message.bytes": _int(1_048_588),
    "message.timestamp.after.max.ms": _long(3_600_000),
    "message.timestamp.before.max.ms": _long(_LONGEST),
    "message.timestamp.type": _word("CreateTime", "CreateTime", "LogAppendTime"),
    "min.cleanable.dirty.ratio": Config("0.5", ConfigType.DOUBLE, _ratio),
    "min.compaction.lag.ms": _long(0),
    "min.insync.replicas": _int(1, 1),
    "preallocate": _flag("false"),
    "remote.log.copy.disable": _flag("false"),
    "remote.log.delete.on.disable": _flag("false"),
    "remote.storage.enable": Config("false", ConfigType.BOOLEAN, _only_false),
    "retention.bytes": _long(-1, -_LONGEST - 1),
    "retention.ms": _long(604_800_000, -1),
    "segment.bytes": _int(1_073_741_824, 1_048_576),
    "segment.index.bytes": _int(10_485_760, 4),
    "segment.jitter.ms": _long(0),
    "segment.ms": _long(604_800_000, 1),
    "unclean.leader.election.enable": _flag("false"),
}


def inherited(name: str, settings: BrokerSettings) -> tuple[str, Source]:
    """Return the value of a topic's config that was not set, and where it comes from."""
    default = TOPIC_CONFIGS[name].default
    of_node = {
        "max.message.bytes": settings.max_batch_bytes,
        "retention.ms": settings.retention_ms,
    }
    value = str(of_node.get(name, default))
    return value, Source.DEFAULT if value == default else Source.STATIC_BROKER


def problem(name: str, value: str | None) -> str:
    """Return why a topic cannot have this config; empty if it can."""
    config = TOPIC_CONFIGS.get(name)
    if config is None:
        return f"Unknown topic config name: {name}"
    if value is None:
        return f"Null value not supported for topic config: {name}"
    if not config.check(tidied(name, value)):
        return f"Invalid value {value} for configuration {name}"
    return ""


def problem_of(configs: Mapping[str, str | None]) -> str:
    """Return why a topic cannot have these configs; empty if it can."""
    for name, value in configs.items():
        if reason := problem(name, value):
            return reason
    least, most = (
        int(configs.get(name) or TOPIC_CONFIGS[name].default)
        for name in ("min.compaction.lag.ms", "max.compaction.lag.ms")
    )
    if least > most:
        return f"min.compaction.lag.ms ({least}) is above max.compaction.lag.ms ({most})"
    return ""


def tidied(name: str, value: str) -> str:
    """Return a config's value as it is stored: without blanks around it, or twice the same item."""
    config = TOPIC_CONFIGS.get(name)
    if config is None or config.kind is not ConfigType.LIST:
        return value.strip()
    items = (item.strip() for item in value.split(","))
    return ",".join(dict.fromkeys(filter(None, items)))
