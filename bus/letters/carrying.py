"""Carrying decisions out: event and decision in one transaction, by one at a time.

All who decide share one transactional id. Who begins ends whatever another one has under way, reads
what was decided so far, and leaves that alone; the other one finds out, and does the same again. So
no letter is re-driven twice, and a kill leaves nothing half done.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bus.admin import Admin, TopicSpec
from bus.audit import log as audit
from bus.audit import quoted
from bus.errors import (
    BusUnavailable,
    Conflict,
    Fenced,
    InvalidSettings,
    NotRedrivable,
    OutcomeUnknown,
)
from bus.event import write_time
from bus.kafka import Record, Transactor
from bus.letters.decisions import DECISIONS, Action, Decision, Decisions, decision
from bus.letters.letter import LARGEST_REDRIVEN, Letter, redriven
from bus.letters.shelf import PARTITION, DecisionLog, Shelf
from bus.letters.topics import KEPT_DAYS
from bus.settings import KafkaSettings

log = logging.getLogger(__name__)

TRANSACTIONAL_ID = DECISIONS
"""The one transactional id of all who decide."""

RETENTION_DAYS = 2 * KEPT_DAYS
"""Decisions stay for longer than letters, so that none comes to wait again."""

AT_ONCE = 200
"""Letters in one transaction."""

BYTES_AT_ONCE = 8 * 2**20
"""Bytes in one transaction, beside the last letter."""

ATTEMPTS = 12
"""How often somebody begins anew whom others keep interrupting."""

LONGEST_PAUSE = 2.0
"""Seconds that the others are left in peace at the most, before the next attempt."""

VISIBLE = 5.0
"""Seconds in which what was decided can be read by others, or soon after."""

Write = tuple[str, int, Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Args:
        done: decisions that were made and carried out now.
        already: letters that others had decided about meanwhile, with what they decided.
    """

    done: tuple[Decision, ...]
    already: tuple[Decision, ...]


@dataclass(slots=True)
class _Work:
    """How far somebody has got.

    Args:
        left: letters that nobody is known to have decided about.
        done: what was decided now.
        already: what others had decided before.
        tried: what was sent, whether or not it counts.
        unsure: why nobody knows what came of what was sent last.
    """

    left: list[Letter]
    done: list[Decision] = field(default_factory=list)
    already: list[Decision] = field(default_factory=list)
    tried: set[Decision] = field(default_factory=set)
    unsure: OutcomeUnknown | None = None


class Decider:
    """Decides about letters in somebody's name.

    Args:
        kafka: how to reach the engine.
        who: in whose name.
    """

    def __init__(self, kafka: KafkaSettings, who: str) -> None:
        self._kafka, self._who = kafka, who

    async def redrive(self, letters: Sequence[Letter], reason: str = "") -> Outcome:
        """Send letters' events to the groups that refused them, once more.

        Args:
            letters: which ones.
            reason: why it will go well now; may be empty.

        Raises:
            NotRedrivable: one of them cannot be re-driven; nothing was done.
            Conflict: nobody reads what is re-driven there; or others keep interrupting.
            NotAuthorised: this user may not write there, or not decide.
            OutcomeUnknown: no answer came in time; to do the same again is safe.
            BusUnavailable: the engine cannot be reached.
        """
        for letter in letters:
            if letter.hindrance is not None:
                raise NotRedrivable(letter.hindrance, where=letter.place)
        await self._prepare({letter.redrive_topic for letter in letters})
        return await self._decide(letters, Action.redriven, reason)

    async def discard(self, letters: Sequence[Letter], reason: str) -> Outcome:
        """Decide that nothing more will be done about letters; they stay where they are.

        Args:
            letters: which ones.
            reason: why.

        Raises:
            InvalidSettings: there is no reason.
            Conflict, NotAuthorised, OutcomeUnknown, BusUnavailable: as for `redrive`.
        """
        if not reason.strip():
            raise InvalidSettings("a letter is discarded for a reason", where="reason")
        await self._prepare(set())
        return await self._decide(letters, Action.discarded, reason)

    async def _prepare(self, topics: set[str]) -> None:
        async with Admin(self._kafka) as admin:
            there = await admin.topics()
            for topic in topics - there.keys():
                raise Conflict(
                    "no subscriber has ever asked for what is re-driven there",
                    where=topic,
                    remedy="start the group's subscriber in a version that reads it, then again",
                )
            if DECISIONS not in there:
                await admin.ensure_topic(
                    TopicSpec(
                        name=DECISIONS,
                        partitions=1,
                        configs={
                            "cleanup.policy": "delete",
                            "retention.ms": str(RETENTION_DAYS * 86_400_000),
                            "message.timestamp.type": "LogAppendTime",
                        },
                    )
                )

    async def _decide(self, letters: Sequence[Letter], action: Action, reason: str) -> Outcome:
        work = _Work(list(letters))
        async with Shelf(self._kafka) as shelf:
            decided = DecisionLog(shelf.reader)
            for attempt in range(ATTEMPTS):
                try:
                    async with self._transactor() as writing:
                        # Nobody else's transaction is open any more: all that counts can be read.
                        await decided.follow()
                        work.unsure = None
                        await self._go_on(work, writing, decided.known, action, reason)
                    break
                except (Fenced, OutcomeUnknown) as error:
                    log.info("somebody else decides about letters, too: %s", error)
                    work.unsure = error if isinstance(error, OutcomeUnknown) else work.unsure
                    # By chance, as two who wait equally long interrupt each other for ever.
                    pause = random.uniform(0, min(0.1 * 2**attempt, LONGEST_PAUSE))  # noqa: S311
                    await asyncio.sleep(pause)
                except BusUnavailable as error:
                    if work.unsure is not None:
                        raise work.unsure from error
                    raise
            else:
                raise Conflict(
                    f"others kept deciding at the same time; {len(work.left)} letters were not "
                    "reached",
                    where=DECISIONS,
                    remedy="the same again does what is left",
                )
            await _seen(decided, work.done)
        self._tell(work.done)
        return Outcome(done=tuple(work.done), already=tuple(work.already))

    async def _go_on(
        self, work: "_Work", writing: Transactor, known: Decisions, action: Action, reason: str
    ) -> None:
        """Decide about what is left, a portion at a time."""
        while work.left:
            portion, made = _portion(work.left), []
            for letter in portion:
                if (there := known.of(letter)) is not None:
                    (work.done if there in work.tried else work.already).append(there)
                else:
                    when = write_time(datetime.now(UTC))
                    made.append((letter, decision(letter, action, self._who, when, reason)))
            work.left = work.left[len(portion) :]
            await self._write(work, writing, made)

    async def _write(
        self, work: "_Work", writing: Transactor, made: Sequence[tuple[Letter, Decision]]
    ) -> None:
        """Write decisions and what they do; who is interrupted has their letters left."""
        if not made:
            return
        writes: list[Write] = [(DECISIONS, PARTITION, one.record()) for _, one in made]
        writes += [
            (letter.redrive_topic, letter.partition, redriven(letter))
            for letter, one in made
            if one.action is Action.redriven
        ]
        work.tried.update(one for _, one in made)
        try:
            await writing.write(writes)
        except (Fenced, OutcomeUnknown):
            work.left = [letter for letter, _ in made] + work.left
            raise
        work.done += [one for _, one in made]

    def _transactor(self) -> Transactor:
        return Transactor(self._kafka, TRANSACTIONAL_ID, largest_batch=LARGEST_REDRIVEN)

    def _tell(self, done: Sequence[Decision]) -> None:
        for one in done:
            audit.info(
                "dead-letter %s who=%s letter=%s group=%s reason=%s",
                one.action,
                quoted(one.who),
                quoted(f"{one.topic}/{one.partition}/{one.offset}"),
                quoted(one.group),
                quoted(one.reason),
            )


async def _seen(decided: DecisionLog, done: Sequence[Decision]) -> None:
    """Wait until decisions can be read: Kafka answers before the marks of a commit are written."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + VISIBLE
    while done and done[-1] not in decided.known and clock() < deadline:
        await decided.follow()
        await asyncio.sleep(0.01)


def _portion(letters: Sequence[Letter]) -> list[Letter]:
    """Return the first letters, as many as go into one transaction."""
    taken: list[Letter] = []
    size = 0
    for letter in letters[:AT_ONCE]:
        taken.append(letter)
        size += len(letter.key or b"") + len(letter.value or b"")
        if size > BYTES_AT_ONCE:
            break
    return taken
