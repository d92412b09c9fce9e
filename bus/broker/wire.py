"""Requests and answers as bytes: kio's messages behind one dictionary for all versions.

kio has a class for each version of each message. Handlers do not deal with them: they read requests
by attribute and answer with one dictionary that holds the fields of every version; what the asked
version does not have is left out here.
"""

import dataclasses
import io
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from kio.serial.errors import SerialError

from bus.broker.guard import MOST_ITEMS, clean, walk
from bus.broker.keys import ApiKey
from bus.broker.limits import Lane
from bus.broker.security.access import Access
from bus.broker.security.session import Session
from bus.principals import ANONYMOUS, OWN_CLIENTS

PREFIX = struct.Struct(">hhi")  # API key, API version, correlation id
_SIZE = struct.Struct(">i")
_ANSWER = struct.Struct(">ii")  # size of what follows, correlation id

Fields = Mapping[str, Any]
Build = Callable[[Any], Any]


class Each:
    """Items of an answer that are made one by one, when they are written.

    Args:
        make: returns what is answered about one thing.
        things: what it is about.
    """

    __slots__ = ("_make", "_things")

    def __init__(self, make: Callable[[Any], Fields], things: Collection[Any]) -> None:
        self._make, self._things = make, things

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[Fields]:
        return map(self._make, self._things)


class MalformedRequest(Exception):
    """A frame that is no request of the API and version that it says it is."""


@dataclass(slots=True)
class Request:
    """One request: who asks, what, and how long it has only waited (seconds).

    For a fetch also how large its answer may be, and how much of the memory for answers it holds;
    for both the lane that is shared with other requests of the same user.

    Session and access are the login of its connection, and what may be done there; None where
    nobody has to log in, and everybody may do everything.
    """

    key: ApiKey
    version: int
    correlation: int
    client_id: str
    body: Any
    client_host: str = ""
    waited: float = 0.0
    room: int = 2**31 - 1
    held: int = 0
    lane: Lane | None = None
    principal: str = ANONYMOUS
    session: Session | None = None
    access: Access | None = None

    @property
    def own(self) -> bool:
        """Whether the bus looks at itself, which is no traffic."""
        return self.client_id.startswith(OWN_CLIENTS)


def read_request(
    frame: bytes, key: ApiKey, version: int, correlation: int, most: int = MOST_ITEMS
) -> Request:
    """Read a whole request of no more than so many items.

    Raises:
        MalformedRequest: it ends early, or its lengths make no sense, or it has more items.
    """
    schema, read_header, read_body = _readers(key, version)
    try:
        frame, start = clean(schema, frame, most)
        header, _ = read_header(frame, 0)
        body, _ = read_body(frame, start)
    except (SerialError, ValueError, OverflowError) as error:
        raise MalformedRequest(f"{key.name} version {version}: {error}") from error
    return Request(key, version, correlation, header.client_id or "", body)


def has_error(fields: Fields) -> bool:
    """Whether an answer says no, to all that was asked or to a part of it."""
    for name, value in fields.items():
        if name == "error_code" and value:
            return True
        inner = (value,) if isinstance(value, Mapping) else value
        if isinstance(inner, tuple | list | Each) and any(
            isinstance(item, Mapping) and has_error(item) for item in inner
        ):
            return True
    return False


def write_answer(key: ApiKey, version: int, correlation: int, fields: Fields) -> bytes:
    """Return the framed answer."""
    build, write, tagged_header = _writers(key, version)
    buffer = io.BytesIO()
    buffer.write(b"\0\0\0\0\0\0\0\0\0" if tagged_header else b"\0\0\0\0\0\0\0\0")
    write(buffer, build(fields))
    with buffer.getbuffer() as view:
        _ANSWER.pack_into(view, 0, len(view) - _SIZE.size, correlation)
    return buffer.getvalue()


def framed(correlation: int, pieces: Sequence[bytes], *, tagged: bool) -> bytes:
    """Return the framed answer of its body's pieces; `tagged` if its header has tags, too."""
    size = sum(map(len, pieces)) + _ANSWER.size - _SIZE.size + tagged
    return b"".join((_ANSWER.pack(size, correlation), b"\0" * tagged, *pieces))


def ready(key: ApiKey, version: int) -> bool:
    """Say whether requests of an API and version can be read and answered without delay."""
    return (key, version) in _READY


def prepare(key: ApiKey, version: int) -> None:
    """Make what reads and answers requests of an API and version; that takes up to 20 ms."""
    schema, _, _ = _readers(key, version)
    walk(schema)
    _writers(key, version)
    _READY.add((key, version))


_READY: set[tuple[ApiKey, int]] = set()


@cache
def _readers(key: ApiKey, version: int) -> tuple[Any, Any, Any]:
    schema: Any = load_request_schema(key, version)
    return schema, entity_reader(schema.__header_schema__), entity_reader(schema)


@cache
def _writers(key: ApiKey, version: int) -> tuple[Build, Any, bool]:
    schema: Any = load_response_schema(key, version)
    return builder(schema), entity_writer(schema), schema.__header_schema__.__version__ > 0


@cache
def builder(schema: Any) -> Build:
    """Return what makes a message of this class of a dictionary with at least its fields."""
    makers = [(field.name, _maker(field), _default(field)) for field in dataclasses.fields(schema)]

    def build(values: Any) -> Any:
        made = {}
        for name, make, default in makers:
            value = values.get(name, default)
            if value is not dataclasses.MISSING:
                made[name] = value if make is None or value is None else make(value)
        return schema(**made)

    return build


def _maker(field: Any) -> Build | None:
    """Return what turns a plain value into the field's own kind; None if it is that already."""
    union = get_args(field.type) if isinstance(field.type, UnionType) else ()
    for kind in (field.type, *union):
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return builder(kind)
        if get_origin(kind) is tuple and dataclasses.is_dataclass(get_args(kind)[0]):
            build = builder(get_args(kind)[0])
            return lambda values: tuple(map(build, values))
    if field.metadata.get("kafka_type", "").startswith("timedelta"):
        return lambda milliseconds: timedelta(milliseconds=milliseconds)
    return None


def _default(field: Any) -> Any:
    # Handlers do not say so: who is above a quota is told by the connection.
    return 0 if field.name == "throttle_time" else dataclasses.MISSING
