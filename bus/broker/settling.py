"""Telling those who wait what became of what they asked for, in the order of the commits.

A round has up to 250 of them: others have their turn of the event loop in between.
"""

import asyncio
import time
from collections import deque
from typing import TypeVar

from bus.broker.stage import Append, Outcome
from bus.broker.writer import Change, Job, Round
from bus.pause import SLICE

T = TypeVar("T")


class Settling:
    """The jobs of finished rounds that are not told yet."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Job, Outcome, Round]] = deque()
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.Handle | None = None

    def add(self, done: Round) -> None:
        """Tell a round's jobs, after those of the rounds before."""
        self._waiting.extend(
            (job, outcome, done) for job, outcome in zip(done.jobs, done.outcomes, strict=True)
        )
        if self._later is None:
            self._some()

    def all(self) -> None:
        """Tell all that are not told yet, at once."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        while self._waiting:
            _settle(*self._waiting.popleft())

    def _some(self) -> None:
        self._later = None
        began = time.perf_counter()
        while self._waiting:
            _settle(*self._waiting.popleft())
            if self._waiting and time.perf_counter() - began > SLICE:
                self._later = self._loop.call_soon(self._some)
                return


def _settle(job: Job, outcome: Outcome, done: Round) -> None:
    if isinstance(job, Append):
        job.done(outcome)
    else:
        _settle_change(job, done)


def _settle_change(change: Change[T], done: Round) -> None:
    result: T = change.result  # type: ignore[assignment]  # set by the round
    if done.failure is None and change.publish is not None:
        change.publish(result)
    if change.settled.done():  # who asked has gone
        return
    if done.failure is not None:
        change.settled.set_exception(done.failure)
    else:
        change.settled.set_result(result)
