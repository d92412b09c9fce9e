"""One member, one grant and the register of processing over HTTP."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bus.avro.text import to_json
from bus.contracts import Contract
from bus.errors import BusError, InvalidContract
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.aside import Aside
from bus.portal.catalogue import Known
from bus.portal.language import Language
from bus.portal.masking import Masking
from bus.portal.trust import words as told
from bus.portal.trust.archive import Named, Wanted
from bus.portal.trust.examples import Examples
from bus.portal.trust.following import Following, now_ms
from bus.portal.trust.views import GrantView, MemberView, Shown, grant_view, member_view
from bus.portal.unmasking import Unmasking
from bus.portal.viewer import Role, require
from bus.trust.grants.grant import State
from bus.trust.grants.register import COLUMNS, Activity, cells, contacts_of, register
from bus.trust.grants.samples import Sample

MOST_IN_PAGE, MOST_IN_FILE = 100, 10_000
"""Grants that a register shows on its page, and has as a file; the command has no limit."""


class Lookups:
    """The part of the portal that shows one member, or one grant.

    Args:
        trust: who is who, and who gets what.
        aside: where events are read.
        examples: reads them.
        contracts: returns the contracts.
        unmasking: whose masks are off.
    """

    def __init__(
        self,
        trust: Following,
        aside: Aside,
        examples: Examples,
        contracts: Callable[[], Known],
        unmasking: Unmasking,
    ) -> None:
        self._trust, self._aside, self._examples = trust, aside, examples
        self._contracts, self._unmasking = contracts, unmasking

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        yield Route("/members/{member}", self._member)
        yield Route("/members/{member}/register", self._register)
        yield Route("/members/{member}/register.{suffix:str}", self._file)
        yield Route("/grants/{name}", self._grant)

    async def _member(self, request: Request) -> Response:
        """Answer with a member: its keys and systems, what it gives and what it gets."""
        require(request, Role.VIEWER)
        name = request.path_params["member"]

        def look() -> MemberView | None:
            return member_view(self._trust, name, now_ms())

        found = await self._application.apart(look)
        if found is None:
            raise HTTPException(404)
        say = language_of(request)
        values = {"page": "members", "title": words.page_title("member", say), "view": found}
        return await self._answer(request, "member.html", values)

    async def _grant(self, request: Request) -> Response:
        """Answer with a grant in plain words, with real examples and its steps."""
        viewer = require(request, Role.VIEWER)
        say = language_of(request)
        named = await self._application.apart(
            lambda: self._trust.archive.named(request.path_params["name"].lower())
        )
        if named is None:
            raise HTTPException(404)
        shown = None
        if viewer.role >= Role.OPERATOR:
            shown = await self._shown(request, named, say)
        title = self._title(named.grant.terms.topic, say)

        def look() -> GrantView:
            return grant_view(self._trust, named, say, title, shown, now_ms())

        values = {
            "page": "grants",
            "title": words.page_title("grant", say),
            "view": await self._application.apart(look),
            "handed": request.query_params.get("handed", "")[:20],
        }
        return await self._answer(request, "grant.html", values)

    async def _shown(self, request: Request, named: Named, say: Language) -> Shown:
        """Return real events as a recipient would get them, masked like all payloads."""
        terms = named.grant.terms
        clear = self._unmasking.left(request, terms.topic) > 0
        self._unmasking.looked(request, terms.topic, clear=clear)
        standing = self._trust.ledger.standing
        try:
            contract, found = await self._aside.run(self._examples.of(terms, standing))
        except BusError as error:
            return Shown(rows=(), masks=None, trouble=error)
        masking = Masking.of(contract)
        rows = [(one.at_ms / 1000, _fields(one, masking, say, clear=clear)) for one in found]
        masks = self._unmasking.masks(request, terms.topic, on=masking.hides)
        return Shown(rows=rows, masks=masks, trouble=None)

    async def _register(self, request: Request) -> Response:
        """Answer with a member's register of processing."""
        require(request, Role.VIEWER)
        say = language_of(request)
        make = partial(self._activities, request, say, MOST_IN_PAGE)
        found = await self._application.apart(make)
        values = {
            "page": "members",
            "title": words.page_title("register", say),
            "member": request.path_params["member"],
            "name": self._trust.name_of(request.path_params["member"]),
            "side": _side(request),
            "rows": found,
            "most": MOST_IN_PAGE,
        }
        return await self._answer(request, "register.html", values)

    async def _file(self, request: Request) -> Response:
        """Answer with the same as a file."""
        require(request, Role.VIEWER)
        suffix = request.path_params["suffix"]
        if suffix not in ("csv", "json"):
            raise HTTPException(404)
        # Not where pages are made: it may be long.
        make = partial(self._activities, request, language_of(request), MOST_IN_FILE)
        found = await asyncio.to_thread(make)
        member = request.path_params["member"]
        if suffix == "csv":
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows(cells(row) for row in found)
            content, kind = text.getvalue(), "text/csv; charset=utf-8"
        else:
            whole = {
                "v": 1,
                "member": member,
                "as": _side(request),
                "activities": [asdict(row) for row in found],
            }
            content, kind = json.dumps(whole, ensure_ascii=False), "application/json"
        headers = {
            "content-disposition": f'attachment; filename="register-{member}.{suffix}"',
            "content-type": kind,
        }
        return Response(content, headers=headers)

    def _activities(self, request: Request, say: Language, most: int) -> list[Activity]:
        name, side = request.path_params["member"], _side(request)
        if self._trust.member(name) is None:
            raise HTTPException(404)
        wanted = Wanted(recipients=[name])
        if side == "owner":
            wanted = Wanted(owners=[name], codes=self._trust.codes_of(name))
        at = now_ms()
        grants = [
            one.grant
            for one in self._trust.archive.grants(wanted, at, first=0, most=most)
            if one.grant.state in (State.APPROVED, State.REVOKED, State.ENDED)
        ]
        return register(
            grants,
            self._agreed({grant.terms.topic for grant in grants}),
            contacts_of(self._trust.members()),
            owner=name if side == "owner" else None,
            language=told.language(say),
            at_ms=at,
        )

    def _agreed(self, topics: Iterable[str]) -> dict[str, Contract]:
        found, known = {}, self._contracts().contracts or {}
        for topic in topics:
            try:
                found[topic] = Contract.from_json(known[topic], topic)
            except (KeyError, InvalidContract):  # gone, or put in force under other rules
                continue
        return found

    def _title(self, topic: str, say: Language) -> str | None:
        titles = ((self._contracts().contracts or {}).get(topic) or {}).get("title") or {}
        found = titles.get(say.code)
        return None if found is None else str(found)

    async def _answer(self, request: Request, template: str, values: Mapping[str, Any]) -> Response:
        around = {"trust": self._trust}
        return await self._application.answer(request, template, {**values, **around})


def _side(request: Request) -> str:
    return "recipient" if request.query_params.get("as") == "recipient" else "owner"


def _fields(
    sample: Sample, masking: Masking, say: Language, *, clear: bool
) -> list[tuple[str, str]]:
    """Return what an example gives as texts."""
    values = dict(sample.values) if clear else masking.data(dict(sample.values))
    named = [(sample.renamed, say.gettext("a name of the recipient's own"))]
    given = [
        (name, one if isinstance(one, str) else json.dumps(to_json(one), ensure_ascii=False))
        for name, one in values.items()
    ]
    return [*(named if sample.renamed else []), *given]
