"""Keeps rights on the engine in step with the journal, whichever registry took the statement.

What a statement changes is put in force at once, without a look at the engine. Every so often all
of the engine's rules are held against the journal: what is different then without a statement is
drift, which is told, counted and repaired.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from bus.admin import Access, Rule
from bus.errors import BusError, NotFound
from bus.kafka import require_rules
from bus.registry.state import State
from bus.registry.store import Store
from bus.settings import KafkaSettings
from bus.telemetry import Rights
from bus.tokens import Follower
from bus.tokens.topic import lock
from bus.trust.ledger import Ledger
from bus.trust.lockout import locks
from bus.trust.rights import changes, wanted

log = logging.getLogger(__name__)

LOOKING = 1.0
"""Seconds between two looks at the journal: a lockout is felt within five."""

ANEW = 50.0
"""Seconds after which the engine's rules are held against the journal: a minute with the look."""

MOST_NAMED = 20
"""Rules that are named in the log, of those that are found too many or missing."""


class Reconciling:
    """Gives systems the rights that the journal says, and takes all others, as long as it runs.

    Args:
        kafka: how to reach the engine, as somebody who may alter the cluster.
        store: the journal.
        ledger: who is who.
        rights: the metrics.
        tokens: those of systems that are locked out are made not to count.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        store: Store,
        ledger: Ledger,
        rights: Rights,
        tokens: Follower,
    ) -> None:
        self._kafka, self._store, self._ledger, self._rights = kafka, store, ledger, rights
        self._tokens = tokens
        self._held: set[Rule] | None = None
        """What was put in force last; None before anything was."""
        self._seen: tuple[int, Collection[str]] = (-1, ())
        self._due = 0.0
        self._gone, self._without = frozenset[str](), frozenset[str]()
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin; the engine is brought in step in the background."""
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    @property
    def _state(self) -> State:
        return self._store.state

    async def _keep(self) -> None:
        while True:
            await self._store.refresh()
            try:
                await self._step()
            except BusError as error:
                self._due = 0.0
                if str(error) != self._trouble:
                    log.warning("rights cannot be kept in step with the journal: %s", error)
                self._trouble = str(error)
            await asyncio.sleep(LOOKING)

    async def _step(self) -> None:
        if not self._ledger.standing.systems:
            return
        if self._held is None or time.monotonic() > self._due:
            await self._look()
        elif self._seen != (self._ledger.statements, self._state.topics):
            await self._follow(self._held)
        await self._lock_tokens()

    async def _follow(self, held: set[Rule]) -> None:
        """Put in force what statements and contracts have changed."""
        seen, shall = await self._wanted()
        missing, surplus = await asyncio.to_thread(lambda: (shall - held, held - shall))
        async with Access(self._kafka) as access:
            await _change(access, missing, surplus)
            await self._take_passwords(access)
        self._held, self._seen = shall, seen

    async def _look(self) -> None:
        """Hold the engine's rules against the journal, and repair what is different."""
        await require_rules(self._kafka)
        async with Access(self._kafka) as access:
            there, users = await access.rules(), frozenset(await access.users())
            # Another registry may have been quicker with a statement: what it has put in force must
            # not pass for drift. So the journal is read after the rules, and has to be there.
            await self._store.catch_up()
            seen, shall = await self._wanted()
            standing = self._ledger.standing.copy()
            missing, surplus = await asyncio.to_thread(changes, standing, shall, there)
            drift = self._drift(missing, surplus)
            await _change(access, missing, surplus)
            self._gone = frozenset()
            await self._take_passwords(access)
        for state, rules in drift.items():
            self._rights.repaired.labels(state).inc(len(rules))
        self._tell_logins(users)
        self._held, self._seen, self._trouble = shall, seen, ""
        self._due = time.monotonic() + ANEW
        self._rights.looked.replace([((), time.time())])

    async def _wanted(self) -> tuple[tuple[int, Collection[str]], set[Rule]]:
        """Return what the journal says now, and how far it was read for that."""
        seen = self._ledger.statements, self._state.topics
        standing, contracts = self._ledger.standing.copy(), frozenset(self._state.topics)
        # The engine's clock decides when a statement takes effect, and ours may be behind it.
        at = max(int(time.time() * 1000), self._ledger.at)
        return seen, await asyncio.to_thread(wanted, standing, contracts, at)

    def _drift(self, missing: set[Rule], surplus: set[Rule]) -> dict[str, set[Rule]]:
        """Return and tell what somebody else has changed since this put something in force."""
        known = self._held is not None
        held = self._held or set()
        drift = {"missing": missing & held, "surplus": surplus - held if known else set()}
        for state, rules in drift.items():
            if rules:
                some = "; ".join(str(rule) for rule in sorted(rules)[:MOST_NAMED])
                more = f", and {len(rules) - MOST_NAMED} more" if len(rules) > MOST_NAMED else ""
                log.warning("%s on the engine, and put right: %s%s", state, some, more)
        self._rights.drift.replace([((state,), len(rules)) for state, rules in drift.items()])
        return drift

    def _tell_logins(self, users: frozenset[str]) -> None:
        """Tell which systems cannot log in with a password; nobody makes them one."""
        systems = self._ledger.standing.systems
        without = frozenset(systems) - users - frozenset(self._locks())
        self._rights.without_login.replace([((), len(without))])
        for system in sorted(without - self._without)[:MOST_NAMED]:
            log.info("%s has rights and no password: `stadtbus user add` makes one", system)
        self._without = without

    def _locks(self) -> dict[str, str]:
        at = max(int(time.time() * 1000), self._ledger.at)
        return dict(locks(self._ledger.standing, at))

    async def _lock_tokens(self) -> None:
        """Say beside the tokens whose do not count, for pages that do not read the journal."""
        book = self._tokens.latest
        if book is None:
            return  # nobody is let in by one then
        shall, are = frozenset(self._locks()) & book.users, frozenset(book.locked)
        known = are & self._ledger.standing.systems.keys()
        await lock(self._kafka, sorted(shall - are), sorted(known - shall))

    async def _take_passwords(self, access: Access) -> None:
        gone = frozenset(system for system, lock in self._locks().items() if lock == "gone")
        if gone - self._gone:
            for system in sorted(gone & set(await access.users())):
                with suppress(NotFound):  # another registry was quicker
                    await access.remove_passwords(system)
                    log.info("%s is gone: its password was taken", system)
        self._gone = gone


async def _change(access: Access, missing: Iterable[Rule], surplus: Iterable[Rule]) -> None:
    """Deny first, then take, then allow; denials that are too many go last."""
    more, less = sorted(missing), sorted(surplus)
    await access.add_rules(rule for rule in more if not rule.allow)
    await access.remove_rules(rule for rule in less if rule.allow)
    await access.add_rules(rule for rule in more if rule.allow)
    await access.remove_rules(rule for rule in less if not rule.allow)
    for user in sorted({rule.user for rule in more if not rule.allow}):
        log.info("%s is locked out", user)
    for user in sorted({rule.user for rule in less if not rule.allow}):
        log.info("%s is let in again", user)
