"""What a test has arranged to go wrong, once, at which request."""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum

from kio.schema.errors import ErrorCode

from bus.broker.keys import ApiKey


class Fault(Enum):
    """Ways to lose a connection around a request."""

    DROP_CONNECTION_BEFORE = "the connection is lost before the request is worked on"
    DROP_CONNECTION_AFTER_COMMIT = "the request is carried out, its answer is lost"
    COMMIT_FULL = "the disk is full when the request's round is committed"
    COMMIT_FAILED = "the disk fails when the request's round is committed"


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with this error and do nothing; for Produce."""

    error: ErrorCode


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold the request back until the event is set."""

    until: asyncio.Event


AnyFault = Fault | Fail | Delay


class Faults:
    """What a test has arranged to go wrong, by API; empty in production."""

    def __init__(self) -> None:
        self._next: defaultdict[ApiKey, deque[AnyFault]] = defaultdict(deque)

    def arrange(self, api: ApiKey, fault: AnyFault) -> None:
        """Let the next request of this API that has none yet meet with the fault."""
        self._next[api].append(fault)

    def take(self, api: ApiKey) -> AnyFault | None:
        """Return the fault that the request now at hand meets with."""
        if not self._next:
            return None
        waiting = self._next[api]
        return waiting.popleft() if waiting else None
