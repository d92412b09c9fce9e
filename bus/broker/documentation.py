"""What each topic config does here, as DescribeConfigs tells whoever asks for documentation."""

from collections.abc import Mapping

_NONE = "Kept and described, but without effect here: "
_SEGMENTS = f"{_NONE}the log is rows of one database, not files."
_REPLICAS = f"{_NONE}there is one node, which is every partition's only replica."
_SYNCED = f"{_NONE}whatever is acknowledged was synced before."
_REMOTE = f"{_NONE}nothing is stored elsewhere."

DOCUMENTATION: Mapping[str, str] = {
    "cleanup.policy": "What happens to old records: delete, compact, or both.",
    "compression.gzip.level": "The level at which this node compresses with gzip.",
    "compression.lz4.level": "The level at which this node compresses with lz4.",
    "compression.type": "The codec that batches are stored in; producer is that of their producer.",
    "compression.zstd.level": "The level at which this node compresses with zstd.",
    "delete.retention.ms": "How long compaction keeps a tombstone after it first met it.",
    "file.delete.delay.ms": f"{_NONE}what is deleted is deleted at once, in short steps.",
    "flush.messages": _SYNCED,
    "flush.ms": _SYNCED,
    "follower.replication.throttled.replicas": _REPLICAS,
    "index.interval.bytes": _SEGMENTS,
    "leader.replication.throttled.replicas": _REPLICAS,
    "local.retention.bytes": _REMOTE,
    "local.retention.ms": _REMOTE,
    "max.compaction.lag.ms": "The longest that a record stays uncompacted, whatever the ratio.",
    "max.message.bytes": "The largest record batch, as it is stored.",
    "message.timestamp.after.max.ms": "How far a record's time may be ahead of the node's clock.",
    "message.timestamp.before.max.ms": "How far a record's time may be behind the node's clock.",
    "message.timestamp.type": "Whether records carry their producer's time, or that of appending.",
    "min.cleanable.dirty.ratio": "How much of a log must be new before it is compacted.",
    "min.compaction.lag.ms": "How old a record is at least when it is compacted.",
    "min.insync.replicas": _REPLICAS,
    "preallocate": _SEGMENTS,
    "remote.log.copy.disable": _REMOTE,
    "remote.log.delete.on.disable": _REMOTE,
    "remote.storage.enable": _REMOTE,
    "retention.bytes": "How many bytes of a partition are kept at least when old ones are deleted.",
    "retention.ms": "How long records are kept, by the newest of those that came together.",
    "segment.bytes": "How many of the newest bytes compaction leaves alone.",
    "segment.index.bytes": _SEGMENTS,
    "segment.jitter.ms": _SEGMENTS,
    "segment.ms": "For how much of the records' time compaction leaves the newest alone.",
    "unclean.leader.election.enable": _REPLICAS,
}
