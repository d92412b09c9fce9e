"""The way of a restricted contract's records: to each recipient what it is granted. Pure.

Nothing is remembered here. What feeds hold is asked of `sent`, and what they hold afterwards is
returned with the records: it becomes true when these are committed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bus.contracts import Contract
from bus.event import partition_of, read_key
from bus.kafka import Fetched
from bus.router.admission import Admission, Admitted
from bus.router.disclosure import Disclosure
from bus.router.held import Had, Held, withdrawn
from bus.router.journal_state import JournalState
from bus.router.routing import Passed, Refused, Write
from bus.router.writing import Moment, Writing, Written
from bus.trust.reasons import Reason
from bus.trust.sealed import is_sealed

Sent = Mapping[bytes, Held]
"""What feeds hold of a contract's events, by the source's key."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a change of grants takes back of a key.

    Args:
        writes: tombstones for feeds.
        disclosures: who is told that by each of them.
        held: what feeds hold of the key from then on.
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
        sent: what feeds hold. On a contract that does not keep the last state it may stay empty:
            then nothing is withdrawn.
        state: the journal; set another one between two transactions.
    """

    def __init__(
        self,
        contract: Contract,
        admission: Admission,
        writing: Writing,
        sent: Sent,
        state: JournalState,
    ) -> None:
        self._contract, self._admission, self._writing = contract, admission, writing
        self._sent, self.state = sent, state

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
        before = self._sent.get(record.key or b"")
        if (refused := self._usurped(admitted, before)) is not None:
            return refused
        moment = Moment(record.partition, self.state.name, now_ms)
        had = before.feeds if before else {}
        given = self._given(admitted, moment)
        now = {recipient: one.had for recipient, one in given.items() if one.had is not None}
        taken = [
            (recipient, self._end(admitted, recipient, old, moment))
            for recipient, old in withdrawn(had, now)
        ]
        held = Held(admitted.speaker, admitted.ars, admitted.owner, admitted.subject, now)
        place = (record.partition, record.offset)
        last = before or held
        disclosures = [
            *self._disclosures(taken, last, had, place, now_ms),
            *self._disclosures(given.items(), held, now, place, now_ms),
        ]
        # Tombstones first: should a recipient get the key under another name, it never has both.
        writes = [one.write for _, one in (*taken, *given.items())]
        return Passed(admitted.event, writes, disclosures, held)

    def withdraw(self, key: bytes, now_ms: int) -> Withdrawn | None:
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
        held = self._sent.get(key)
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
        moment = Moment(partition, self.state.name, now_ms)
        taken = [
            (recipient, self._writing.withdrawal(recipient, had, moment.state, moment))
            for recipient, had in lost
        ]
        disclosures = self._disclosures(taken, held, held.feeds, (partition, None), now_ms)
        return Withdrawn([one.write for _, one in taken], disclosures, held._replace(feeds=kept))

    def _usurped(self, admitted: Admitted, before: Held | None) -> Refused | None:
        """Return why a source may not replace what feeds hold of a key; None if it may.

        It may if its member said that, too, or if it may speak for whom that was about. Otherwise
        any member could withdraw another one's events by writing its own under their keys.
        """
        if before is None or not before.feeds or before.speaker == admitted.speaker:
            return None
        if self.state.standing.speaks_for(admitted.speaker, before.ars, admitted.day):
            return None
        return Refused(
            Reason.NOT_ENTITLED,
            f"{before.speaker} announced what feeds hold of this key, about {before.ars}; "
            f"{admitted.speaker} may not speak for it",
        )

    def _given(self, admitted: Admitted, moment: Moment) -> dict[str, Written]:
        """Return what each recipient gets of an event."""
        event, version = admitted.event, admitted.version
        if event.data is None or version is None or is_sealed(event.data):
            return {}
        found = self.state.grants.match(
            event.topic, admitted.owner, admitted.ars, event.data, moment.at_ms
        )
        return {one.recipient: self._writing.event(admitted, version, one, moment) for one in found}

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
