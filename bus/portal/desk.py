"""Where operators read dead letters and decide about them: pages that ask the engine.

A decision takes two steps, both by POST: a preview of what would be done, and doing it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bus.audit import log as audit
from bus.audit import quoted
from bus.errors import (
    BusError,
    BusUnavailable,
    Conflict,
    InvalidSettings,
    NotAuthorised,
    NotFound,
    NotRedrivable,
)
from bus.letters import Action, Decider, Filter, Letter, Shelf, event_topic, part, waiting
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.aside import Aside
from bus.portal.guard import SAFE
from bus.portal.masking import Masking
from bus.portal.previews import Preview, preview
from bus.portal.tailing.decoding import Registry
from bus.portal.unmasking import Unmasking
from bus.portal.viewer import Role, Viewer, require
from bus.settings import KafkaSettings

ROWS = 50
LOOKED_AT = 5000
"""Letters that are looked at for one answer; the rest comes with the next."""

AT_ONCE = 1000
"""Letters that one form decides about at the most."""

LONGEST_REASON = 500

Form = ImmutableMultiDict[str, str]
Page = tuple[str, Mapping[str, Any]]
"""A template, and what it shows."""


class Desk:
    """The part of the portal that shows letters.

    Args:
        kafka: how to reach the engine.
        aside: where it is asked.
        registry: where contracts come from.
        unmasking: whose masks are off.
    """

    def __init__(
        self, kafka: KafkaSettings, aside: Aside, registry: Registry, unmasking: Unmasking
    ) -> None:
        self._kafka, self._aside, self._registry = kafka, aside, registry
        self._unmasking = unmasking
        self._shelf: Shelf | None = None
        self._turn = asyncio.Lock()

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        for path, answer, methods in (
            ("/letters/of/{topic}", self._list, ["GET"]),
            ("/letters/of/{topic}/{partition:int}/{offset:int}", self._bytes, ["GET"]),
            ("/letters/preview/{topic}", self._preview, ["POST"]),
            ("/letters/decide/{topic}", self._decide, ["POST"]),
        ):
            yield Route(path, partial(self._answered, answer), methods=methods)

    async def close(self) -> None:
        """Close the connections; called aside."""
        async with self._turn:
            await self._close()

    async def _answered(
        self,
        answer: Callable[[Request, Shelf], Awaitable[Page | Response]],
        request: Request,
    ) -> Response:
        """Ask who it is, have the answer made aside, and tell errors as a page."""
        require(request, Role.OPERATOR)
        topic, status = request.path_params["topic"], 200
        self._unmasking.looked(request, event_topic(topic), clear=self._clear(request, topic))
        try:
            made = await self._aside.run(self._in_turn(answer, request))
        except BusError as error:
            status = _status(error)
            made = "letters_error.html", {"error": error}
        if isinstance(made, Response):
            return made
        template, values = made
        own = {
            "page": "letters",
            "title": words.page_title("letters", language_of(request)),
            "topic": topic,
        }
        if request.method not in SAFE:
            own["path"] = "/letters"
        return await self._application.answer(request, template, {**own, **values}, status)

    async def _in_turn(
        self, answer: Callable[[Request, Shelf], Awaitable[Page | Response]], request: Request
    ) -> Page | Response:
        async with self._turn:
            try:
                if self._shelf is None:
                    shelf = Shelf(self._kafka, client_id="stadtbus-portal")
                    await shelf.start()
                    self._shelf = shelf
                return await answer(request, self._shelf)
            except BusUnavailable:
                await self._close()
                raise

    async def _close(self) -> None:
        if self._shelf is not None:
            shelf, self._shelf = self._shelf, None
            await shelf.stop()

    async def _list(self, request: Request, shelf: Shelf) -> Page:
        topic, query = request.path_params["topic"], request.query_params
        wanted = _filter(query)
        start = _spot(query.get("from") or "0:0")
        found = await part(shelf, topic, wanted, start, most=ROWS, look_at=LOOKED_AT)
        masking, event = await self._masking(topic), event_topic(topic)
        return "letters_of.html", {
            "letters": self._shown(request, masking, found.letters),
            "looked": found.looked,
            "following": None if found.following is None else "{}:{}".format(*found.following),
            "wanted": wanted,
            "most": AT_ONCE,
            "masks": self._unmasking.masks(request, event, on=masking is None or masking.hides),
        }

    async def _bytes(self, request: Request, shelf: Shelf) -> Response:
        """Answer with a letter's value, for the disk and for nothing else."""
        topic, partition, offset = (
            request.path_params[name] for name in ("topic", "partition", "offset")
        )
        letter = await shelf.letter(topic, partition, offset)
        if letter.value is None:
            raise NotFound("the letter has no value", where=letter.place)
        masking = await self._masking(topic)
        if (masking is None or masking.hides) and not self._clear(request, topic):
            raise NotAuthorised(
                "the event may have sensitive fields, and its bytes have no masks",
                where=letter.place,
                remedy="have an administrator take the masks off on the page of these letters",
            )
        viewer: Viewer = request.state.viewer
        audit.info(
            "dead-letter downloaded who=%s letter=%s", quoted(viewer.name), quoted(letter.place)
        )
        headers = {
            "content-disposition": f'attachment; filename="letter-{partition}-{offset}.bin"',
            "content-type": "application/octet-stream",
        }
        return Response(letter.value, headers=headers)

    async def _preview(self, request: Request, shelf: Shelf) -> Page:
        topic, form = request.path_params["topic"], request.state.form
        action = _action(form)
        letters = await _meant(shelf, topic, form)
        able = [one for one in letters if action is Action.discarded or one.hindrance is None]
        stuck = [one for one in letters if one not in able]
        masking = await self._masking(topic)
        return "letters_preview.html", {
            "action": action,
            "letters": self._shown(request, masking, able),
            "stuck": self._shown(request, masking, stuck),
        }

    async def _decide(self, request: Request, shelf: Shelf) -> Page:
        topic, form = request.path_params["topic"], request.state.form
        action = _action(form)
        reason = form.get("note", "").strip()[:LONGEST_REASON]
        spots = form.getlist("letter")[:AT_ONCE]
        if not spots:
            raise InvalidSettings("no letter was chosen", where=topic)
        # Those alone that were previewed: what else waits by now, nobody has seen.
        letters = await shelf.chosen(topic, map(_spot, spots))
        decider = Decider(self._kafka, request.state.viewer.name or "portal")
        if action is Action.redriven:
            outcome = await decider.redrive(letters, reason)
        else:
            outcome = await decider.discard(letters, reason)
        return "letters_done.html", {"action": action, "outcome": outcome}

    async def _masking(self, topic: str) -> Masking | None:
        """Return what is masked in letters; None: nobody knows, so all is."""
        try:
            return Masking.of(await self._registry.contract(event_topic(topic)))
        except BusError:
            return None

    def _clear(self, request: Request, topic: str) -> bool:
        return self._unmasking.left(request, event_topic(topic)) > 0

    def _shown(
        self, request: Request, masking: Masking | None, letters: Iterable[Letter]
    ) -> list[Preview]:
        clear = self._clear(request, request.path_params["topic"])
        return [preview(one, OPEN if clear else masking) for one in letters]


OPEN = Masking(access="open", sensitivity={})
"""Masks that are off."""


async def _meant(shelf: Shelf, topic: str, form: Form) -> list[Letter]:
    """Return the letters that a form means: those that were ticked, or the first of the filter's.

    Raises:
        InvalidSettings: none.
    """
    if form.get("which") == "all":
        return await waiting(shelf, topic, _filter(form), most=AT_ONCE)
    spots = frozenset(_spot(one) for one in form.getlist("letter"))
    if not spots:
        raise InvalidSettings("no letter was chosen", where=topic)
    return await waiting(shelf, topic, Filter(spots=spots))


def _action(form: Form) -> Action:
    try:
        return Action(form.get("action", ""))
    except ValueError as error:
        raise HTTPException(400) from error


def _filter(given: Mapping[str, str]) -> Filter:
    return Filter(reason=given.get("reason") or None, group=given.get("group") or None)


def _spot(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and len(text) < 32):
        raise InvalidSettings("a letter's place is <partition>:<offset>", where=text[:32])
    return int(partition), int(offset)


def _status(error: BusError) -> int:
    match error:
        case NotFound():
            return 404
        case InvalidSettings():
            return 400
        case NotAuthorised():
            return 403
        case Conflict() | NotRedrivable():
            return 409
        case BusUnavailable():
            return 503
        case _:
            return 502
