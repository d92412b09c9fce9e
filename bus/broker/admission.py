"""What a topic demands of a batch, and the batch as it is stored: with the topic's codec. Pure.

The rules are Kafka's (LogValidator). Where single records are to blame, they are named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kio.schema.errors import ErrorCode

from bus.broker.batch import CODEC, HEADER, BadBatch, Header, sealed
from bus.broker.compression import packed
from bus.broker.configs import TOPIC_CONFIGS
from bus.broker.records import Keyless, Piece, check_inside, pieces

_MOST_NAMED = 1000  # of the records that are to blame
_FOREVER = 2**63 - 1
_CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_KEYLESS = "a compacted topic takes no record without a key"

Named = Sequence[tuple[int, str]]


class BadRecords(BadBatch):
    """A batch that is refused for some of its records.

    Attributes:
        named: their places in the batch, and what is wrong with each.
    """

    def __init__(self, error: ErrorCode, reason: str, named: Named) -> None:
        super().__init__(error, reason)
        self.named = named


@dataclass(frozen=True, slots=True)
class Demands:
    """What a topic demands of the batches that are written to it.

    Attributes:
        keyed: whether every record must have a key.
        stamped: whether records get the time when they are appended, so that their own is nothing.
        ahead, behind: milliseconds that records' own times may be from the clock.
        codec: what batches are stored in; None is the producer's own.
        level: of the codec; None is its default.
        limit: the largest batch, in bytes.
    """

    keyed: bool = False
    stamped: bool = False
    ahead: int = _FOREVER
    behind: int = _FOREVER
    codec: int | None = None
    level: int | None = None
    limit: int = _FOREVER

    @classmethod
    def of(cls, configs: Mapping[str, str], limit: int) -> "Demands":
        """Return what a topic's configs demand; `limit` is that of topics that have none."""

        def value(name: str) -> str:
            return configs.get(name, TOPIC_CONFIGS[name].default)

        codec = value("compression.type")
        level = None
        if (config := f"compression.{codec}.level") in configs:
            given = int(configs[config])
            level = given if given != int(TOPIC_CONFIGS[config].default) else None
        return cls(
            keyed="compact" in value("cleanup.policy").split(","),
            stamped=value("message.timestamp.type") == "LogAppendTime",
            ahead=int(value("message.timestamp.after.max.ms")),
            behind=int(value("message.timestamp.before.max.ms")),
            codec=_CODECS.get(codec),
            level=level,
            limit=int(configs.get("max.message.bytes", limit)),
        )


ANYTHING = Demands()


def admitted(
    batch: bytes, header: Header, demands: Demands, *, unpacked_limit: int, now: int
) -> tuple[bytes, Header]:
    """Return a batch and its header as they are stored: the same, if nothing has to be changed.

    Args:
        batch: one whole batch.
        header: its header, checked.
        demands: of its topic.
        unpacked_limit: bytes that compressed records may unpack to.
        now: milliseconds since 1970.

    Raises:
        BadBatch: Kafka would refuse it.
    """
    try:
        inside = check_inside(batch, header, limit=unpacked_limit, keyed=demands.keyed)
    except Keyless as error:
        found = pieces(error.records, header.record_count)
        raise _refused(
            ErrorCode.invalid_record, _KEYLESS, found, lambda piece: piece.key is None
        ) from error
    newest = header.base_timestamp + inside.newest
    if not demands.stamped:
        _check_times(header, inside.records, newest, demands, now)
    codec = header.attributes & CODEC
    wanted = codec if demands.codec is None else demands.codec
    if wanted == codec and (newest == header.max_timestamp or demands.stamped):
        return batch, header
    records = batch[HEADER.size :]
    if wanted != codec:
        records = packed(inside.records, wanted, demands.level)
    attributes = header.attributes & ~CODEC | wanted
    made = sealed(header._replace(attributes=attributes, max_timestamp=newest), records)
    if len(made) > demands.limit:
        reason = f"{len(made)} bytes, in the topic's compression, are above {demands.limit}"
        raise BadBatch(ErrorCode.message_too_large, reason)
    return made, Header._make(HEADER.unpack_from(made))


def _check_times(header: Header, records: bytes, newest: int, demands: Demands, now: int) -> None:
    """Refuse records from the future, which would be kept too long, and those from too long ago.

    Raises:
        BadRecords: INVALID_TIMESTAMP.
    """
    base, latest = header.base_timestamp, now + demands.ahead
    if demands.behind == _FOREVER and newest <= latest:
        return
    earliest = now - demands.behind

    def off(piece: Piece) -> bool:
        return base + piece.time > latest or -1 != base + piece.time < earliest

    if any(map(off, pieces(records, header.record_count))):
        reason = (
            f"a record's time is more than {demands.ahead} ms ahead of the broker's clock"
            if newest > latest
            else f"a record's time is more than {demands.behind} ms behind the broker's clock"
        )
        found = pieces(records, header.record_count)
        raise _refused(ErrorCode.invalid_timestamp, reason, found, off)


def _refused(
    error: ErrorCode, reason: str, found: Iterator[Piece], bad: Callable[[Piece], bool]
) -> BadRecords:
    named = [(place, reason) for place, piece in enumerate(found) if bad(piece)]
    return BadRecords(error, reason, named[:_MOST_NAMED])
