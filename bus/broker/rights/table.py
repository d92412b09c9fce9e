"""Which right each API needs."""

from collections.abc import Awaitable, Callable, Mapping

from bus.broker.engine import Engine
from bus.broker.keys import ApiKey
from bus.broker.rights.call import Call, Handle
from bus.broker.security.access import Access
from bus.broker.wire import Fields, Request

Right = Callable[[Call], Awaitable[Fields]]


async def _free(call: Call) -> Fields:
    return await call.answer()


RIGHTS: Mapping[ApiKey, Right] = {}


async def guarded(engine: Engine, request: Request, handle: Handle, access: Access) -> Fields:
    """Answer what of a request is allowed, and refuse the rest."""
    return await RIGHTS.get(request.key, _free)(Call(engine, request, handle, access))
