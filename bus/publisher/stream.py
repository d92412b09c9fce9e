"""One contract as a publisher sees it: data in, records without their counter out. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Any, NamedTuple

from bus.avro.codec import Codec
from bus.contracts import Contract
from bus.errors import EventTooLarge, InvalidEvent, NotFound
from bus.event import (
    SOURCE,
    Draft,
    check_draft,
    key_of,
    new_id,
    partition_of,
    unchanging,
    write_time,
)
from bus.kafka import header, packed, sized
from bus.publisher.sealing import Seal
from bus.trust.signer import Signer

LARGEST_EVENT = 1_000_000
"""Bytes of key, data and headers of one event; what is left of a batch is its frame."""

_FRAME = Struct(">bI")
_ID, _TIME = sized(b"ce_id"), sized(b"ce_time")
_SUBJECT, _TRACE = sized(b"ce_subject"), sized(b"traceparent")


class Receipt(NamedTuple):
    """What a publisher gets for an event that the engine has durably.

    Args:
        id: the event's id.
        topic: where it was written.
        partition: which partition of it.
        offset: its number there; None if the engine had it already when it was sent again.
    """

    id: str
    topic: str
    partition: int
    offset: int | None


class Outgoing(NamedTuple):
    """An event that is ready to be sent, but for its counter.

    Args:
        partition: where it goes.
        id: the event's id.
        record: its bytes, to which the counter's header is appended when its turn comes.
    """

    partition: int
    id: str
    record: bytes


class Stream:
    """Turns drafts of one contract into records.

    Args:
        contract: as the registry has it, with its schemas' ids.
        system: who publishes.
        version: the schema's version to write with; the newest if None.
        signer: holds the system's key; nothing can be sent on a restricted contract without one.

    Raises:
        NotFound: the contract has no such version.
        InvalidSettings: the contract is restricted, and there is no signer.
    """

    def __init__(
        self,
        contract: Contract,
        system: str,
        version: int | None = None,
        signer: Signer | None = None,
    ) -> None:
        count = len(contract.schema_ids)
        if not 1 <= (version or count) <= count:
            raise NotFound(
                f"there is no version {version or 1}; {count} are in force", where=contract.topic
            )
        index = (version or count) - 1
        self.contract = contract
        self._unchanging = [header(*each) for each in unchanging(SOURCE + system, contract.topic)]
        self._codec = Codec(contract.versions[index])
        self._frame = _FRAME.pack(0, contract.schema_ids[index])
        self._seal = Seal.of(contract, system, signer, index)

    def event(self, draft: Draft, now: str) -> Outgoing:
        """Return an event as it is sent.

        Args:
            draft: what the caller gave.
            now: the time of an event that has none of its own.

        Raises:
            InvalidEvent: the data or the envelope does not keep to the contract.
            EventTooLarge: it is above `LARGEST_EVENT`.
        """
        check_draft(draft)
        data = draft.data
        body = self._codec.encode(data)
        key = self.contract.key_of(data)
        subject = draft.subject
        if subject is None and self.contract.subject is not None:
            about = data.get(self.contract.subject)
            subject = str(about) if about not in (None, "") else None
        time = now if draft.time is None else write_time(draft.time)
        return self._outgoing(draft, key, body, time, subject)

    def tombstone(
        self, key: Sequence[Any], draft: Draft, now: str, municipality: str | None = None
    ) -> Outgoing:
        """Return the end of a key's last state as it is sent.

        On a restricted contract it names municipality and subject; they are taken from the key if
        they are fields of it.

        Raises:
            InvalidEvent: these are not the contract's key fields, or one is empty; on a restricted
                contract, municipality or subject is not known.
        """
        wanted = self.contract.key
        if len(key) != len(wanted):
            raise InvalidEvent(
                f"has {len(key)} parts, wanted {len(wanted)}: {', '.join(wanted)}", where="key"
            )
        check_draft(draft)
        time = now if draft.time is None else write_time(draft.time)
        if self._seal is None:
            return self._outgoing(draft, key_of(key), None, time, draft.subject)
        about = dict(zip(wanted, key, strict=True))
        subject = draft.subject or about.get(self.contract.subject or "")
        named = municipality or about.get(self.contract.municipality)
        for place, value in (("subject", subject), ("municipality", named)):
            if not value:
                raise InvalidEvent(
                    "is missing; a tombstone on a restricted contract names it", where=place
                )
        return self._outgoing(draft, key_of(key), None, time, str(subject), str(named))

    def _outgoing(
        self,
        draft: Draft,
        key: str,
        body: bytes | None,
        time: str,
        subject: str | None,
        municipality: str | None = None,
    ) -> Outgoing:
        id_, raw_key = draft.id or new_id(), key.encode()
        value = None if body is None else self._frame + body
        headers = [*self._unchanging, _ID + sized(id_.encode()), _TIME + sized(time.encode())]
        if subject is not None:
            headers.append(_SUBJECT + sized(subject.encode()))
        if draft.traceparent is not None:
            headers.append(_TRACE + sized(draft.traceparent.encode()))
        if draft.headers:
            headers.extend(header(name, text.encode()) for name, text in draft.headers.items())
        if self._seal is not None:
            self._seal.check_headers(draft)
            headers += self._seal.headers(id_, time, raw_key, subject, body, municipality)
        record = packed(raw_key, value, headers, further=1)
        if len(record) > LARGEST_EVENT:
            raise EventTooLarge(
                f"the event has {len(record)} bytes, {LARGEST_EVENT} are allowed",
                where=self.contract.topic,
                remedy="publish a reference to what is large, not the thing itself",
            )
        return Outgoing(partition_of(key, self.contract.partitions), id_, record)


def drafted(event: Draft | Mapping[str, Any]) -> Draft:
    """Return an event as a draft; a plain mapping is its data."""
    return event if isinstance(event, Draft) else Draft(data=event)


def now_text() -> str:
    """Return this moment as an event's time is written."""
    return write_time(datetime.now(UTC))
