"""Disclosures over HTTP: the page, the same as JSON for programs, and the life of their store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bus.audit import quoted
from bus.disclosures.digest import Total, entry_of, totals
from bus.disclosures.follower import Follower
from bus.disclosures.question import Mark, Part, Question
from bus.disclosures.store import Store
from bus.errors import BusError, InvalidInput, StorageUnusable
from bus.event import write_time
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.guard import PROGRAMS
from bus.portal.pages.disclosures import PAGE, TOPIC, Asked, Row, Sight, day, row, sight_of
from bus.portal.unmasking import Unmasking
from bus.portal.viewer import Viewer, require
from bus.settings import Settings

log = logging.getLogger(__name__)

ROWS, MOST_ROWS = 50, 1000
"""Disclosures on one page, and in one answer to a program."""


class Looking(NamedTuple):
    """Somebody who looks, and what they may see and have asked."""

    sight: Sight
    asked: Asked


class Disclosing:
    """The part of the portal that shows disclosures.

    Args:
        settings: how to reach the engine, and where the store lies.
        unmasking: whose masks are off.
    """

    def __init__(self, settings: Settings, unmasking: Unmasking) -> None:
        self._settings, self._unmasking = settings, unmasking
        self._store: Store | None = None
        self._trouble: BusError | None = None
        self._follower: Follower | None = None
        self._following: asyncio.Task[None] | None = None

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        yield Route(PAGE.path, self._page)
        yield Route(f"{PROGRAMS}disclosures", partial(self._told, self._list))
        yield Route(f"{PROGRAMS}digests", partial(self._told, self._digests))

    async def open(self) -> None:
        """Open the store, and begin to follow the topic; called aside.

        Where it cannot be opened its page says so, and all else of the node is there: it is a copy.
        """
        try:
            self._store = await asyncio.to_thread(Store, self._settings.data)
        except StorageUnusable as error:
            log.error("nobody can look at disclosures: %s", error)
            self._trouble = error
            return
        self._follower = Follower(self._settings.kafka, self._store)
        self._following = asyncio.create_task(self._follower.run())

    async def close(self) -> None:
        """Leave the engine, and close the store; called aside."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._store is not None:
            await asyncio.to_thread(self._store.close)

    async def _page(self, request: Request) -> Response:
        looking = self._look(request)
        part, trouble, status = Part([], None), None, 200
        try:
            part = await self._part(request, looking, ROWS)
        except BusError as error:
            trouble, status = error, 400 if isinstance(error, InvalidInput) else 503
        sight = looking.sight
        values = {
            "page": PAGE.name,
            "title": words.page_title(PAGE.name, language_of(request)),
            "rows": [row(one, sight) for one in part.found],
            "following": part.following,
            "asked": looking.asked,
            "purposes": words.purposes(language_of(request)),
            "member": sight.member,
            "clear": sight.clear,
            "at": self._follower.at if self._follower else None,
            "trouble": trouble,
            "masks": self._unmasking.masks(request, TOPIC, on=sight.member is None),
        }
        return await self._application.answer(request, "disclosures.html", values, status)

    async def _told(
        self, answer: Callable[[Request, Looking], Awaitable[Mapping[str, Any]]], request: Request
    ) -> Response:
        """Answer a program; an error is one sentence."""
        try:
            return JSONResponse(await answer(request, self._look(request)))
        except BusError as error:
            status = 400 if isinstance(error, InvalidInput) else 503
            said = {"message": error.what, "where": error.where, "remedy": error.remedy}
            return JSONResponse(said, status)

    async def _list(self, request: Request, looking: Looking) -> Mapping[str, Any]:
        part = await self._part(request, looking, MOST_ROWS)
        return {
            "disclosures": [_json(row(one, looking.sight)) for one in part.found],
            "following": None if part.following is None else str(part.following),
            "masked": not looking.sight.clear,
        }

    async def _digests(self, request: Request, looking: Looking) -> Mapping[str, Any]:
        """Answer with digests, which say nothing of any person and need no masks."""
        wanted = day(request.query_params.get("day", ""))
        asked = Question(member=looking.sight.member)
        store = self._opened()
        counted = await asyncio.to_thread(
            lambda: totals(entry_of(one) for one in store.of_day(wanted, asked))
        )
        return {"digests": [_line(one) for one in counted]}

    async def _part(self, request: Request, looking: Looking, most: int) -> Part:
        question = looking.asked.question(looking.sight)
        before = request.query_params.get("before")
        mark = Mark.read(before) if before else None
        return await asyncio.to_thread(self._opened().find, question, most, mark)

    def _opened(self) -> Store:
        if self._trouble is not None:
            raise self._trouble
        if self._store is None:
            raise RuntimeError("the store is not open")
        return self._store

    def _look(self, request: Request) -> Looking:
        """Return what somebody may see, and note that they look.

        Raises:
            HTTPException: 401, they have to log in; 403, they may see nothing.
        """
        viewer: Viewer = require(request, PAGE.role)
        asked, clear = Asked.of(request.query_params), self._unmasking.left(request, TOPIC) > 0
        reason = request.query_params.get("reason", "")
        if reason and not clear and not viewer.officer_of and request.url.path != PAGE.path:
            clear = self._unmasking.unmasked(request, TOPIC, reason)
        sight = sight_of(viewer, unmasked=clear)
        if sight is None:
            raise HTTPException(403)
        by = ",".join(asked.filled)
        what = f"member={quoted(sight.member or '')} by={quoted(by)}"
        self._unmasking.looked(request, TOPIC, clear=sight.clear, what=what)
        return Looking(sight, asked)


def _json(one: Row) -> dict[str, Any]:
    at = write_time(datetime.fromtimestamp(one.at, UTC))
    return {
        "at": at,
        "owner": one.owner,
        "recipient": one.recipient,
        "topic": one.topic,
        "purposes": one.purposes,
        "fields": one.fields,
        "grants": one.grants,
        "event": one.event,
        "subject": one.subject,
    }


def _line(one: Total) -> dict[str, Any]:
    return {
        "day": one.line.day.isoformat(),
        "recipient": one.line.recipient,
        "topic": one.line.topic,
        "grants": [grant.hex() for grant in one.line.grants],
        "deliveries": one.deliveries,
        "digest": one.digest.hex(),
    }
