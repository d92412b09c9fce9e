"""The way of a restricted contract's records: to each recipient what it is granted. Pure.

Nothing is remembered here. What feeds hold is asked of the memory, and what they hold afterwards is
returned with the records: it becomes true when these are committed.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from bus.contracts import Contract
from bus.disclosures import Disclosure
from bus.event import partition_of, read_key
from bus.kafka import Fetched
from bus.router.admission import Admission, Admitted
from bus.router.held import Feeds, Had, Held, withdrawn
from bus.router.journal_state import JournalState
from bus.router.routing import Passed, Refused, Write
from bus.router.writing import Moment, Writing, Written
from bus.trust.grants.matching import Granted
from bus.trust.reasons import Reason
from bus.trust.sealed import is_sealed


class Remembers(Protocol):
    """What feeds hold, and how their records are counted; `bus.router.memory.Memory`."""

    def get(self, key: bytes) -> Held | None:
        """Return what is held of a key of the shared topic."""

    def sequence(self, feed: str) -> str:
        """Return the next ``stadtbus-seq`` of a feed's partition."""


@dataclass(frozen=True, slots=True)
class Told:
    """What feeds are told of a key, beside or after the record that counted.

    Args:
        writes: records for feeds.
        disclosures: who is told what by each of them.
        held: what is held of the key from then on.
    """

    writes: list[Write]
    disclosures: list[Disclosure]
    held: Held


class RestrictedRoute:
    """Routes the records of one restricted contract.

    Args:
        contract: the contract in force.
        admission: says which records count.
        writing: makes what feeds get.
        memory: what feeds hold. On a contract that does not keep the last state it may stay empty:
            then nothing is withdrawn.
    """

    def __init__(
        self,
        contract: Contract,
        admission: Admission,
        writing: Writing,
        memory: Remembers,
    ) -> None:
        self._contract, self._admission, self._writing = contract, admission, writing
        self._memory = memory
        self._state: JournalState | None = None

    @property
    def state(self) -> JournalState:
        """The journal; set another one between two transactions."""
        if self._state is None:
            raise AssertionError("the journal was not read")
        return self._state

    @state.setter
    def state(self, state: JournalState) -> None:
        self._state = state

    def take(self, record: Fetched, now_ms: int) -> Passed | Refused:
        """Return what becomes of a record.

        Args:
            record: of the shared topic.
            now_ms: now, in milliseconds since 1970: which grants are in force goes by it. Whether
                the source may speak goes by the record's own time.

        Raises:
            UnlearntSchema: its schema has to be asked for first.
        """
        admitted = self._admission.admit(record, self.state.standing)
        if isinstance(admitted, Refused):
            return admitted
        before = self._memory.get(record.key or b"")
        if (refused := self._usurped(admitted, before)) is not None:
            return refused
        told = self._tell(admitted, record, before, self._granted(admitted, now_ms), now_ms)
        held = None if admitted.event.data is None else told.held
        return Passed(admitted.event, told.writes, told.disclosures, held)

    def renew(self, record: Fetched, fresh: Container[bytes], now_ms: int) -> Told | None:
        """Return what feeds are told of a key once more, as grants have changed.

        Args:
            record: the last one of the key that counted.
            fresh: the ids of grants whose recipients get all that these give, whether they have
                it or not.
            now_ms: now, in milliseconds since 1970.

        Returns:
            None if there is nothing to tell.

        Raises:
            UnlearntSchema: its schema has to be asked for first.
        """
        admitted = self._admission.admit(record, self.state.standing)
        before = self._memory.get(record.key or b"")
        if isinstance(admitted, Refused) or before is None:
            return None
        kept, wanted = dict[str, Had](), list[Granted]()
        for one in self._granted(admitted, now_ms):
            had = before.feeds.get(one.recipient)
            grants = tuple(sorted(one.grants))
            if had is None or had.grants != grants or any(grant in fresh for grant in grants):
                wanted.append(one)
            else:
                kept[one.recipient] = had
        told = self._tell(admitted, record, before, wanted, now_ms, kept)
        return told if told.writes else None

    def withdraw(self, key: bytes, now_ms: int) -> Told | None:
        """Return what recipients lose of a key, as grants that they got it under are not in force.

        Whoever is left with some of its grants loses it, too, and gets it anew with what these give
        when the source's last event of the key is taken once more.

        Args:
            key: the source's.
            now_ms: now, in milliseconds since 1970.

        Returns:
            None if everybody may keep what they have.

        Raises:
            UndecodableEvent: the key is none.
        """
        held = self._memory.get(key)
        if held is None:
            return None
        kept = {
            recipient: had
            for recipient, had in held.feeds.items()
            if all(self.state.grants.in_force(grant, now_ms) for grant in had.grants)
        }
        lost = withdrawn(held.feeds, kept)
        if not lost:
            return None
        partition = partition_of(read_key(key), self._contract.partitions)
        moment = self._moment(partition, now_ms)
        taken = [
            (recipient, self._writing.withdrawal(recipient, had, moment.state, moment))
            for recipient, had in lost
        ]
        disclosures = self._disclosures(taken, held, held.feeds, (partition, None), now_ms)
        return Told([one.write for _, one in taken], disclosures, held._replace(feeds=kept))

    def marker(self, grant: Granted, word: str, place: tuple[int, int], now_ms: int) -> Write:
        """Return a mark for the snapshot that a grant's recipient gets.

        Args:
            grant: its recipient, and its own id alone.
            word: ``begin`` or ``end``.
            place: the partition, and where the router was in it when the snapshot began.
            now_ms: now, in milliseconds since 1970.
        """
        moment = self._moment(place[0], now_ms)
        (one,) = grant.grants
        return self._writing.marker(grant.recipient, one, word, place[1], moment)

    def _moment(self, partition: int, now_ms: int) -> Moment:
        return Moment(partition, self.state.name, now_ms, self._memory.sequence)

    def _usurped(self, admitted: Admitted, before: Held | None) -> Refused | None:
        """Return why a source may not replace an event of its key; None if it may.

        It may if its member said that, too, or if it may speak for whom that was about. Otherwise
        any member could withdraw another one's events by writing its own under their keys.
        """
        if before is None or before.speaker == admitted.speaker:
            return None
        if self.state.standing.speaks_for(admitted.speaker, before.ars, admitted.day):
            return None
        return Refused(
            Reason.NOT_ENTITLED,
            f"{before.speaker} announced the last event of this key, about {before.ars}; "
            f"{admitted.speaker} may not speak for it",
        )

    def _granted(self, admitted: Admitted, now_ms: int) -> list[Granted]:
        """Return who gets what of an event."""
        event, version = admitted.event, admitted.version
        if event.data is None or version is None or is_sealed(event.data):
            return []
        return self.state.grants.match(
            event.topic, admitted.owner, admitted.ars, event.data, now_ms
        )

    def _tell(
        self,
        admitted: Admitted,
        record: Fetched,
        before: Held | None,
        granted: Iterable[Granted],
        now_ms: int,
        kept: Feeds = MappingProxyType({}),
    ) -> Told:
        """Return what recipients are told of an event.

        Args:
            admitted: the event.
            record: that carries it.
            before: what is held of its key.
            granted: who is told what.
            now_ms: now, in milliseconds since 1970.
            kept: what others have of it already.
        """
        moment = self._moment(record.partition, now_ms)
        had = before.feeds if before else {}
        version = admitted.version
        given = {
            one.recipient: self._writing.event(admitted, version, one, moment)
            for one in granted
            if version is not None
        }
        now = {recipient: one.had for recipient, one in given.items() if one.had is not None}
        taken = [
            (recipient, self._end(admitted, recipient, old, moment))
            for recipient, old in withdrawn(had, {**kept, **now})
        ]
        about = (admitted.speaker, admitted.ars, admitted.owner, admitted.subject)
        held = Held(record.offset, admitted.event.id, *about, {**kept, **now})
        place = (record.partition, record.offset)
        disclosures = [
            *self._disclosures(taken, before or held, had, place, now_ms),
            *self._disclosures(given.items(), held, now, place, now_ms),
        ]
        # Tombstones first: should a recipient get the key under another name, it never has both.
        return Told([one.write for _, one in (*taken, *given.items())], disclosures, held)

    def _end(self, admitted: Admitted, recipient: str, had: Had, moment: Moment) -> Written:
        """Return the tombstone for what a recipient has: the source's, or one of the router's."""
        if admitted.event.data is None:
            return self._writing.ended(admitted, recipient, had, moment)
        return self._writing.withdrawal(recipient, had, admitted.event.id, moment)

    def _disclosures(
        self,
        written: Iterable[tuple[str, Written]],
        held: Held,
        feeds: Mapping[str, Had],
        place: tuple[int, int | None],
        now_ms: int,
    ) -> list[Disclosure]:
        purpose = self.state.grants.purpose
        return [
            Disclosure(
                held.subject,
                held.owner,
                recipient,
                feeds[recipient].grants,
                tuple(sorted({purpose(grant) for grant in feeds[recipient].grants})),
                one.event,
                one.fields,
                now_ms,
                self._contract.topic,
                *place,
            )
            for recipient, one in written
        ]
