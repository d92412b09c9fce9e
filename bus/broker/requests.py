"""Requests read without holding up others: what takes long is done beside the event loop."""

import asyncio

from bus.broker.keys import ApiKey
from bus.broker.wire import Request, prepare, read_request, ready

_LARGE = 2**16  # bytes


async def read(frame: bytes, key: ApiKey, version: int, correlation: int, most: int) -> Request:
    """Read a whole request of no more than so many items.

    Raises:
        MalformedRequest: it is none.
    """
    if not ready(key, version):
        await asyncio.to_thread(prepare, key, version)
    # A large request to write has a few large batches, any other one thousands of items.
    if len(frame) > _LARGE and key is not ApiKey.PRODUCE:
        return await asyncio.to_thread(read_request, frame, key, version, correlation, most)
    return read_request(frame, key, version, correlation, most)
