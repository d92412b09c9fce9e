"""Lines of JSON as drafts of events, read in a thread so that a slow pipe delays nothing."""

import asyncio
import json
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from bus.avro.limits import admit
from bus.avro.text import from_json
from bus.contracts import Contract
from bus.errors import InvalidInput
from bus.event import Draft
from bus.publisher.stream import Stream, now_text
from bus.trust.signer import SIGNATURE_BYTES

BATCH = 500
"""Lines that are handed over together at the most."""

ANYBODY = "de.mun.000000000000.dry-run"
"""Stands for the publisher while lines are only checked."""

Line = tuple[int, str]


class Reading:
    """Turns lines into drafts that keep to a contract.

    Args:
        contract: in its newest version.
        system: who publishes; anybody if None.
    """

    def __init__(self, contract: Contract, system: str | None) -> None:
        self._schema = admit(contract.versions[-1])
        self._stream = Stream(contract, system or ANYBODY, signer=_Nobody())

    def draft(self, line: str) -> Draft:
        """Return the event that a line describes.

        Raises:
            InvalidInput: the line is no JSON object.
            InvalidEvent: the data does not keep to the contract.
            EventTooLarge: it is above the limit for one event.
        """
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidInput("is no JSON object with the fields of the contract")
        draft = Draft(data=from_json(self._schema, value))
        self._stream.event(draft, now_text())
        return draft


class _Nobody:
    """Stands for the holder of a key while lines are only checked: its signatures are none."""

    key_id = "0" * 32

    def sign(self, message: bytes) -> bytes:
        """Return as many bytes as a signature has."""
        return bytes(SIGNATURE_BYTES)


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


async def batches(stream: TextIO) -> AsyncIterator[list[Line]]:
    """Yield the numbered lines that are there, at most `BATCH` at once; empty ones are left out.

    A file comes in full batches; of a pipe, each line comes as soon as it is written.

    Raises:
        InvalidInput: the text is not UTF-8.
    """
    pump = _Pump(stream)
    try:
        while lines := await pump.take():
            yield lines
    finally:
        pump.stop()


class _Pump:
    """Reads lines in a thread of its own: a read that waits cannot be called off, but left."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._lines: deque[Line] = deque()
        self._room = threading.Semaphore(2 * BATCH)
        self._arrived, self._stopped = asyncio.Event(), threading.Event()
        self._ended = False
        self._error: InvalidInput | None = None
        self._thread = threading.Thread(target=self._read, name="lines", daemon=True)
        self._thread.start()

    async def take(self) -> list[Line]:
        """Return the next lines; none at the end."""
        await self._arrived.wait()
        taken = [self._lines.popleft() for _ in range(min(BATCH, len(self._lines)))]
        self._room.release(len(taken)) if taken else None
        if self._error is not None and not taken:
            raise self._error
        if not self._lines and not self._ended:
            self._arrived.clear()
        return taken

    def stop(self) -> None:
        """Let the thread end before its file is closed; one that waits for a pipe is left."""
        self._stopped.set()
        self._thread.join(0.5)

    def _read(self) -> None:
        error: InvalidInput | None = None
        try:
            for number, line in enumerate(self._stream, start=1):
                while not self._room.acquire(timeout=0.1):
                    if self._stopped.is_set():
                        return
                if self._stopped.is_set():
                    return
                if line.strip():
                    self._tell(number, line)
                else:
                    self._room.release()
        except UnicodeDecodeError as wrong:
            error = InvalidInput(f"is not UTF-8: {wrong.reason}", where=self._stream.name)
        with suppress(RuntimeError):  # the loop has ended, and nobody wants the lines any more
            self._loop.call_soon_threadsafe(self._end, error)

    def _tell(self, number: int, line: str) -> None:
        with suppress(RuntimeError):  # as above
            self._loop.call_soon_threadsafe(self._add, (number, line))

    def _add(self, line: Line) -> None:
        self._lines.append(line)
        self._arrived.set()

    def _end(self, error: InvalidInput | None) -> None:
        self._ended, self._error = True, error
        self._arrived.set()
