"""Lines of JSON as drafts of events, read in a thread so that a slow pipe delays nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from bus.avro.codec import Codec
from bus.avro.limits import admit
from bus.avro.text import from_json
from bus.contracts import Contract
from bus.errors import InvalidInput
from bus.event import Draft, partition_of

BATCH = 500
"""Lines that are handed over together at the most."""

Line = tuple[int, str]


class Reading:
    """Turns lines into drafts that keep to a contract.

    Args:
        contract: in its newest version.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._schema = admit(contract.versions[-1])
        self._codec = Codec(contract.versions[-1])

    def draft(self, line: str) -> Draft:
        """Return the event that a line describes.

        Raises:
            InvalidInput: the line is no JSON object.
            InvalidEvent: the data does not keep to the contract.
        """
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidInput("is no JSON object with the fields of the contract")
        data: dict[str, Any] = from_json(self._schema, value)
        self._codec.encode(data)
        partition_of(self._contract.key_of(data), self._contract.partitions)
        return Draft(data=data)


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """Open a file, or standard input for ``-``.

    Raises:
        InvalidInput: the file cannot be read.
    """
    if str(file) == "-":
        yield sys.stdin
        return
    try:
        with file.open(encoding="utf-8") as stream:
            yield stream
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=str(file)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not UTF-8: {error.reason}", where=str(file)) from error


async def batches(stream: TextIO) -> AsyncIterator[list[Line]]:
    """Yield the numbered lines that are there, at most `BATCH` at once; empty lines are left out.

    A file comes in full batches; of a pipe, each line as soon as it is written.
    """
    waiting: asyncio.Queue[Line | None] = asyncio.Queue(2 * BATCH)
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    asyncio.run_coroutine_threadsafe(waiting.put((number, line)), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(waiting.put(None), loop).result()

    reading = loop.run_in_executor(None, read)
    ended = False
    while not ended:
        batch = [await waiting.get()]
        while batch[-1] is not None and len(batch) < BATCH and not waiting.empty():
            batch.append(waiting.get_nowait())
        ended = batch[-1] is None
        if lines := [line for line in batch if line is not None]:
            yield lines
    await reading
