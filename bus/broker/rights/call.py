"""One request on its way to its handler, and what the principal that makes it may do."""

import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from bus.broker.engine import Engine
from bus.broker.security.access import Access
from bus.broker.security.rules import CLUSTER_NAME, Kind, Operation
from bus.broker.wire import Fields, Request

Handle = Callable[[Engine, Request], Awaitable[Fields]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A request, its handler, and the rights of who asks."""

    engine: Engine
    request: Request
    handle: Handle
    access: Access

    @property
    def body(self) -> Any:
        """What is asked."""
        return self.request.body

    def may(self, operation: Operation, kind: Kind, name: str) -> bool:
        """Whether something that was asked for by name is allowed; a no is noted."""
        return self.access.may(operation, kind, name, api=self.request.key.name)

    def may_on_cluster(self, operation: Operation) -> bool:
        """Whether something about the whole cluster is allowed; a no is noted."""
        return self.may(operation, Kind.CLUSTER, CLUSTER_NAME)

    def sees(self, operation: Operation, kind: Kind, name: str) -> bool:
        """Whether something is allowed that nobody asked for by name."""
        return self.access.sees(operation, kind, name)

    def split(
        self, items: Iterable[T], operation: Operation, kind: Kind, name: Callable[[T], str]
    ) -> tuple[tuple[T, ...], tuple[T, ...]]:
        """Return which of the things that were asked for are allowed, and which are not."""
        allowed: list[T] = []
        refused: list[T] = []
        for item in items:
            (allowed if self.may(operation, kind, name(item)) else refused).append(item)
        return tuple(allowed), tuple(refused)

    async def answer(self, **instead: Any) -> Fields:
        """Return the handler's answer, with some fields of the request replaced."""
        if instead:
            self.request.body = dataclasses.replace(self.body, **instead)
        return await self.handle(self.engine, self.request)
