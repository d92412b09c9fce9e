"""Where somebody prepares what a member's own key signs, and hands in what was signed.

The portal holds no member's key, and nobody's word counts here but a signature's.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bus.audit import log as audit
from bus.audit import quoted
from bus.avro.schema import load
from bus.contracts import Contract
from bus.errors import BusError, BusUnavailable, InvalidInput, NotFound
from bus.portal import words
from bus.portal.application import Application, language_of
from bus.portal.aside import Aside
from bus.portal.catalogue import Known
from bus.portal.changes import fields
from bus.portal.language import Language
from bus.portal.trust import words as told
from bus.portal.trust.following import Following
from bus.portal.trust.forms import HOW, ROWS, STEPS, asking, step_says, stepping, terms_of
from bus.portal.viewer import Role, address, require
from bus.trust.grants.grant import ID_BYTES
from bus.trust.grants.granting import ASKED, KINDS
from bus.trust.grants.plain import plain
from bus.trust.grants.terms import Terms
from bus.trust.grants.vocabulary import PURPOSES, STATUTES
from bus.trust.statements import MAX_BYTES, Statement, compose, read

MOST_CONTRACTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What somebody is to sign.

    Args:
        kind: of the statement.
        words: what the grant says, in sentences.
        command: what signs and hands in the same where the key is.
        statement: as a file, to be signed elsewhere.
    """

    kind: str
    words: tuple[str, ...]
    command: str
    statement: str


class Preparing:
    """The part of the portal that prepares statements and takes signed ones.

    Args:
        trust: who is who, and who gets what.
        aside: where the journal is followed.
        contracts: returns the contracts.
    """

    def __init__(self, trust: Following, aside: Aside, contracts: Callable[[], Known]) -> None:
        self._trust, self._aside, self._contracts = trust, aside, contracts

    def routes(self, application: Application) -> Iterable[Route]:
        """Return what is served.

        Args:
            application: makes pages of it.
        """
        self._application = application
        yield Route("/grants/new", self._new, methods=["GET"])
        yield Route("/grants/new", self._ask, methods=["POST"])
        yield Route("/grants/step", self._step, methods=["POST"])
        yield Route("/grants/statement", self._download, methods=["POST"])
        yield Route("/grants/hand-in", self._form, methods=["GET"])
        yield Route("/grants/hand-in", self._hand_in, methods=["POST"])

    async def _new(self, request: Request) -> Response:
        """Answer with the form that asks for a grant, or with the choice of a contract."""
        require(request, Role.OPERATOR)
        return await self._asking(request, request.query_params.get("topic", ""), {}, None)

    async def _ask(self, request: Request) -> Response:
        """Answer with what is to be signed, or with the form and what is wrong with it."""
        require(request, Role.OPERATOR)
        form, say = request.state.form, language_of(request)
        topic, now = form.get("topic", ""), datetime.now(UTC)
        try:
            contract = self._contract(topic)
            terms = terms_of(form, contract, now)
            statement = self._composed(ASKED, terms.to_json(), now)
        except BusError as error:
            return await self._asking(request, topic, form, error)
        prepared = Prepared(
            kind=ASKED,
            words=self._words(terms, say, contract),
            command=asking(terms),
            statement=_written(statement),
        )
        return await self._answer(request, "grant_prepared.html", {"view": prepared})

    async def _step(self, request: Request) -> Response:
        """Answer with what is to be signed for a step of a grant."""
        require(request, Role.OPERATOR)
        form, say, now = request.state.form, language_of(request), datetime.now(UTC)
        kind, name = form.get("kind", ""), form.get("grant", "")
        named = await self._application.apart(lambda: self._trust.archive.named(name))
        if named is None or kind not in STEPS:
            raise HTTPException(404)
        says = step_says(named.name, form.get("why", ""))
        try:
            statement = self._composed(kind, says, now)
        except BusError as error:
            return await self._problem(request, error)
        prepared = Prepared(
            kind=kind,
            words=self._words(named.grant.terms, say, None),
            command=stepping(kind, says),
            statement=_written(statement),
        )
        return await self._answer(request, "grant_prepared.html", {"view": prepared})

    async def _download(self, request: Request) -> Response:
        """Answer with a statement as a file."""
        require(request, Role.OPERATOR)
        try:
            statement = _read(request.state.form.get("statement", ""))
        except BusError as error:
            return await self._problem(request, error)
        headers = {
            "content-disposition": f'attachment; filename="{statement.kind}.json"',
            "content-type": "application/json",
        }
        return Response(_written(statement), headers=headers)

    async def _form(self, request: Request) -> Response:
        """Answer with the form that takes a signed statement."""
        require(request, Role.OPERATOR)
        return await self._handing_in(request, "", None)

    async def _hand_in(self, request: Request) -> Response:
        """Hand a signed statement in; answer with the grant, or with why it has no effect."""
        viewer = require(request, Role.OPERATOR)
        text = request.state.form.get("statement", "")
        try:
            statement = _read(text)
            entry = await self._aside.run(self._trust.hand_in(statement))
        except BusError as error:
            return await self._handing_in(request, text, error)
        who = f"user={quoted(viewer.name)} address={quoted(address(request))}"
        audit.info("statement handed in %s kind=%s entry=%d", who, statement.kind, entry)
        about = statement.says.get("grant", statement.digest.hex())
        return RedirectResponse(f"/grants/{str(about)[: 2 * ID_BYTES]}?handed={entry}", 303)

    def _contract(self, topic: str) -> Contract:
        """Return a contract in force.

        Raises:
            NotFound: there is none.
            InvalidContract: it was put in force by a version with other rules.
        """
        found = (self._contracts().contracts or {}).get(topic)
        if found is None:
            raise NotFound("there is no contract for this topic", where=topic)
        return Contract.from_json(found, topic)

    def _composed(self, kind: str, says: Mapping[str, Any], now: datetime) -> Statement:
        """Return a statement that nobody has signed yet.

        Raises:
            BusUnavailable: the journal that it is for is not known yet.
            InvalidStatement: it says what no statement can.
        """
        if not self._trust.chain:
            raise BusUnavailable("the journal was not read yet", remedy="try again")
        return compose(self._trust.chain, kind, says, issued=now)

    def _words(self, terms: Terms, say: Language, contract: Contract | None) -> tuple[str, ...]:
        title = None if contract is None else contract.title[say.code]
        return tuple(plain(terms, told.language(say), name=self._trust.name_of, title=title))

    async def _asking(
        self, request: Request, topic: str, form: Mapping[str, Any], error: BusError | None
    ) -> Response:
        known = self._contracts().contracts or {}
        restricted = sorted(t for t, one in known.items() if one.get("access") == "restricted")
        contract = None
        if topic and error is None:
            try:
                contract = self._contract(topic)
            except BusError as trouble:
                error = trouble
        elif topic in known:
            contract = self._contract(topic)
        values = {
            "topics": restricted[:MOST_CONTRACTS],
            "contract": contract,
            "fields": fields(contract.versions[-1]) if contract else (),
            "chosen": form.getlist("field") if hasattr(form, "getlist") else (),
            "form": form,
            "error": error,
            "purposes": PURPOSES,
            "statutes": STATUTES,
            "rows": range(ROWS),
            "hows": HOW,
        }
        return await self._answer(request, "grant_new.html", values, 200 if error is None else 400)

    async def _handing_in(self, request: Request, text: str, error: BusError | None) -> Response:
        values = {"text": text, "error": error, "view": None}
        status = 200 if error is None else 503 if isinstance(error, BusUnavailable) else 400
        return await self._answer(request, "grant_hand_in.html", values, status)

    async def _problem(self, request: Request, error: BusError) -> Response:
        return await self._handing_in(request, "", error)

    async def _answer(
        self, request: Request, template: str, values: Mapping[str, Any], status: int = 200
    ) -> Response:
        say = language_of(request)
        own = {
            "page": "grants",
            "title": words.page_title(template.removesuffix(".html"), say),
        }
        return await self._application.answer(request, template, {**own, **values}, status)


def _read(text: str) -> Statement:
    """Return the statement that somebody sent.

    Raises:
        InvalidInput: it is none about a grant.
        InvalidStatement: it is none at all.
    """
    try:
        statement = read(load(text, max_bytes=2 * MAX_BYTES))
    except BusError as error:
        raise InvalidInput(
            f"this is no statement: {error}",
            remedy="take the whole file that `stadtbus trust sign` has signed",
        ) from error
    if statement.kind not in KINDS:
        raise InvalidInput(
            f"this is a statement of the kind {statement.kind}, and none about a grant",
            remedy="hand it in by `stadtbus trust submit`",
        )
    return statement


def _written(statement: Statement) -> str:
    return json.dumps(statement.body(), ensure_ascii=False, indent=2) + "\n"
