"""Payloads over HTTP: the live tail of a topic."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bus.errors import BusError, NotFound
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.aside import Aside
from bus.portal.language import Language, iso
from bus.portal.sentences import LONGEST_TROUBLE, Told, told, translated
from bus.portal.shown import clipped, visible
from bus.portal.streams import Streams, message
from bus.portal.tailing import Feeds, Filter, Follower, Line, Update, read_positions
from bus.portal.tailing import write_positions as written
from bus.portal.tailing.line import LONGEST
from bus.portal.unmasking import Masks, Unmasking
from bus.portal.viewer import Role, require

TOPIC, STREAM = "/tail/topic", "/live/tail/topic"

LONGEST_DATA = 2000
"""Characters of an event's data that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailView:
    """What the page of a topic's events shows.

    Args:
        topic: the topic.
        wanted: which of its events.
        lines: those events as texts, newest first.
        skipped, filtered: how many others there were.
        position: where the stream goes on.
        stream: its address.
        masks: what is masked.
        trouble: why the topic cannot be read; None if it can.
    """

    topic: str
    wanted: Filter
    lines: Sequence[Mapping[str, str]]
    skipped: int
    filtered: int
    position: str
    stream: str
    masks: Masks
    trouble: BusError | None


class Payloads:
    """The part of the portal that shows events.

    Args:
        aside: where they are read.
        feeds: who reads them.
        streams: the streams that are open.
        unmasking: whose masks are off.
    """

    def __init__(self, aside: Aside, feeds: Feeds, streams: Streams, unmasking: Unmasking) -> None:
        self._aside, self._feeds, self._streams = aside, feeds, streams
        self._unmasking = unmasking

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        yield Route(TOPIC, self._page)
        yield Route(STREAM, self._stream)

    async def _page(self, request: Request) -> Response:
        """Answer with a topic's newest events."""
        require(request, Role.OPERATOR)
        topic, say = _topic(request), language_of(request)
        clear = self._unmasking.left(request, topic) > 0
        self._unmasking.looked(request, topic, clear=clear)
        follower, status = Follower(_filter(request)), 200
        trouble: BusError | None = None
        try:
            await self._aside.run(self._feeds.join(topic, follower, {}, whole=True))
        except BusError as error:
            status, trouble = (404 if isinstance(error, NotFound) else 503), error
        finally:
            self._aside.post(self._feeds.leave(topic, follower))
        update = follower.drain() or Update(lines=(), skipped=0, filtered=0, positions={})
        lines = await self._application.apart(lambda: shown(update.lines, say, clear=clear))
        seen = TailView(
            topic=topic,
            wanted=follower.wanted,
            lines=lines[::-1],
            skipped=update.skipped,
            filtered=update.filtered,
            position=written(update.positions),
            stream=f"{STREAM}?{_asked(request)}",
            masks=self._unmasking.masks(
                request, topic, on=any(line.masked != line.clear for line in update.lines)
            ),
            trouble=trouble,
        )
        values = {"page": "tail", "title": words.page_title("tail", say), "view": seen}
        return await self._application.answer(request, "events.html", values, status)

    async def _stream(self, request: Request) -> Response:
        """Answer with a stream of what comes."""
        require(request, Role.OPERATOR)
        headers = {"content-type": "text/event-stream", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers)
        topic, follower = _topic(request), Follower(_filter(request))
        had = request.headers.get("last-event-id") or request.query_params.get("from", "")
        clear = self._unmasking.left(request, topic) > 0
        self._unmasking.looked(request, topic, clear=clear)
        try:
            await self._aside.run(self._feeds.join(topic, follower, read_positions(had)))
        except BusError as error:
            self._aside.post(self._feeds.leave(topic, follower))
            raise HTTPException(404 if isinstance(error, NotFound) else 503) from error
        events = self._events(request, topic, follower, clear=clear)
        return StreamingResponse(events, headers=headers)

    async def _events(
        self, request: Request, topic: str, follower: Follower, *, clear: bool
    ) -> AsyncIterator[bytes]:
        say = language_of(request)

        async def step() -> bytes:
            update = follower.drain()
            still = self._unmasking.left(request, topic) > 0
            if clear and not still:
                return message("the masks are on again", event="masked")
            if update is None:
                return b""
            return await self._application.apart(lambda: _told(update, say, clear=clear))

        try:
            async for part in self._streams.paced(step):
                yield part
        finally:
            self._aside.post(self._feeds.leave(topic, follower))


def shown(lines: Iterable[Line], say: Language, *, clear: bool) -> list[Mapping[str, str]]:
    """Return events as texts that are shown as they are.

    Args:
        lines: the events.
        say: the reader's language.
        clear: without masks.
    """
    return [_shown(line, say, clear=clear) for line in lines]


def _shown(line: Line, say: Language, *, clear: bool) -> Mapping[str, str]:
    """Return an event as texts, which are made once for all who follow its topic."""
    kept = say.code, clear
    if kept not in line.texts:
        line.texts[kept] = _texts(line, say, clear=clear)
    return line.texts[kept]


def _texts(line: Line, say: Language, *, clear: bool) -> dict[str, str]:
    payload = line.clear if clear else line.masked
    texts = {"place": f"{line.partition}:{line.offset}", "source": clipped(visible(line.source))}
    texts |= {"at": say.moment(line.at), "iso": iso(line.at), "key": "", "data": "", "fault": ""}
    if payload is None:
        return texts | {
            "fault": words.fault_word(line.fault, say),
            "data": clipped(visible(translated(line.why, say) or line.why), LONGEST_DATA),
        }
    data = payload.data
    if data is None:
        data = say.gettext("deleted: the key's last state ends here")
    return texts | {"key": clipped(visible(payload.key)), "data": _data(data, say)}


def _data(text: str, say: Language) -> str:
    start = visible(text[:LONGEST_DATA])
    more = len(text) - LONGEST_DATA
    if more <= 0:
        return start
    rest = say.ngettext("%(number)s more character", "%(number)s more characters", more)
    return f"{start}… ({rest})"


def _told(update: Update, say: Language, *, clear: bool) -> bytes:
    trouble = told(update.trouble, say) if update.trouble else Told("", "")
    news = {
        "lines": shown(update.lines, say, clear=clear),
        "again": shown(update.again, say, clear=clear),
        "skipped": update.skipped,
        "filtered": update.filtered,
        "trouble": clipped(visible(trouble.text), LONGEST_TROUBLE),
        "detail": clipped(visible(trouble.detail), LONGEST_TROUBLE),
    }
    return message(json.dumps(news), id_=written(update.positions))


def _topic(request: Request) -> str:
    topic = request.query_params.get("topic", "")
    if not topic or len(topic) > 249:  # Kafka's limit for a topic's name
        raise HTTPException(404)
    return topic


def _filter(request: Request) -> Filter:
    asked = request.query_params
    return Filter(**{name: asked.get(name, "").strip()[:LONGEST] for name in _FILTERS})


_FILTERS = ("key", "source", "value")


def _asked(request: Request) -> str:
    """Return the query of the stream that goes on where a page ends."""
    asked = request.query_params
    given = {name: asked[name] for name in ("topic", *_FILTERS, "lang") if name in asked}
    return urlencode({"lang": language_of(request).code, **given})
