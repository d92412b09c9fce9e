"""The HTTP API: Confluent's, as far as it goes here, and the contracts, which are ours."""

import logging
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bus.admin import Admin
from bus.contracts import Contract
from bus.errors import BusError, Conflict
from bus.registry import refusals, rules
from bus.registry.http import (
    LATEST,
    Handler,
    answer,
    body_of,
    flag,
    id_in,
    page,
    part_of,
    refused,
    schema_in,
    subject_in,
    version_in,
)
from bus.registry.impact import Impact
from bus.registry.refusals import Refusal
from bus.registry.rules import Write
from bus.registry.state import State, Version
from bus.registry.store import Store
from bus.telemetry import Telemetry

MAX_VERSIONS = 100
"""Of a contract: each is checked against all before it, and all others wait for it."""


MOST_LOGGED = 20
"""Sentences about who loses what that one change leaves in the log."""

log = logging.getLogger(__name__)


class Api:
    """Answers requests out of the store.

    Args:
        store: what is registered.
        admin: makes the topics of contracts.
        telemetry: counts refused schemas.
        impact: tells what recipients lose by a schema.
        further: what is answered beside schemas and contracts: method, path and handler.
    """

    def __init__(
        self,
        store: Store,
        admin: Admin,
        telemetry: Telemetry,
        impact: Impact,
        further: Sequence[tuple[str, str, Handler]] = (),
    ) -> None:
        self._store, self._admin, self._telemetry = store, admin, telemetry
        self._impact, self._further = impact, further

    def application(self) -> Starlette:
        """Return the API as an ASGI application."""
        subject, by_id = "/subjects/{subject}", "/schemas/ids/{id}"
        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/", self.root),
            ("GET", "/subjects", self.subjects),
            ("POST", subject, self.look_up),
            ("GET", f"{subject}/versions", self.versions),
            ("POST", f"{subject}/versions", self.register),
            ("GET", f"{subject}/versions/{{version}}", self.version),
            ("GET", f"{subject}/versions/{{version}}/schema", self.version_schema),
            ("GET", "/schemas/types", self.types),
            ("GET", by_id, self.schema),
            ("GET", f"{by_id}/schema", self.schema_text),
            ("GET", f"{by_id}/subjects", self.schema_subjects),
            ("GET", f"{by_id}/versions", self.schema_versions),
            ("POST", f"/compatibility{subject}/versions", self.check),
            ("POST", f"/compatibility{subject}/versions/{{version}}", self.check_version),
            ("GET", "/config", self.global_level),
            ("PUT", "/config", self.set_global_level),
            ("GET", "/config/{subject}", self.level),
            ("PUT", "/config/{subject}", self.set_level),
            ("GET", "/mode", self.mode),
            ("GET", "/mode/{subject}", self.subject_mode),
            ("GET", "/associations/resources/-/{resource}", self.associations),
            ("GET", "/contracts", self.contracts),
            ("GET", "/contracts/{topic}", self.contract),
            ("PUT", "/contracts/{topic}", self.put_contract),
            *self._further,
        ]
        errors = (Refusal, BusError, HTTPException, Exception)
        return Starlette(
            routes=_routes(handlers), exception_handlers=dict.fromkeys(errors, _on_error)
        )

    async def root(self, request: Request) -> Response:
        """GET /: that there is a registry here."""
        return answer({})

    async def types(self, request: Request) -> Response:
        """GET /schemas/types."""
        return answer(["AVRO"])

    async def subjects(self, request: Request) -> Response:
        """GET /subjects."""
        await self._store.refresh()
        prefix = request.query_params.get("subjectPrefix", "")
        found = [name for name in self._store.state.subjects if name.startswith(prefix)]
        return answer(page(request, found))

    async def versions(self, request: Request) -> Response:
        """GET /subjects/{subject}/versions."""
        found = await self._versions_of(subject_in(request))
        return answer(page(request, [version.number for version in found]))

    async def version(self, request: Request) -> Response:
        """GET /subjects/{subject}/versions/{version}."""
        found = await self._version(subject_in(request), version_in(request))
        return answer(_described(found))

    async def version_schema(self, request: Request) -> Response:
        """GET /subjects/{subject}/versions/{version}/schema: the schema's text itself."""
        found = await self._version(subject_in(request), version_in(request))
        return _text(found.text)

    async def look_up(self, request: Request) -> Response:
        """POST /subjects/{subject}: which version of the subject this schema is."""
        subject, body = subject_in(request), await body_of(request)
        sent = rules.candidate(schema_in(body))
        found = await self._store.find(lambda state: state.find(subject, sent.text))
        if found is not None:
            return answer(_described(found))
        if not self._store.state.versions(subject):
            raise refusals.subject_not_found(subject)
        raise refusals.schema_not_found()

    async def register(self, request: Request) -> Response:
        """POST /subjects/{subject}/versions: register a schema, or find that it is."""
        subject, body = subject_in(request), await body_of(request)
        if isinstance(given := body.get("id"), int) and given > 0:
            raise refusals.not_permitted(f"Subject {subject} is not in import mode")
        sent = rules.candidate(schema_in(body))
        found = self._store.state.find(subject, sent.text)
        if found is not None:
            return answer({"id": found.id, "version": found.number})
        lost = self._impact.of_schema(subject, sent)
        found = await self._register(subject, sent)
        _log(lost)
        more = {"impact": lost} if lost else {}
        return answer({"id": found.id, "version": found.number, **more})

    async def _register(self, subject: str, sent: rules.Candidate) -> Version:
        try:
            return await self._store.change(lambda state: rules.register(state, subject, sent))
        except Refusal as refusal:
            if refusal.status == 409:
                self._telemetry.schema_rejections.labels(subject).inc()
            raise

    async def schema(self, request: Request) -> Response:
        """GET /schemas/ids/{id}."""
        value: dict[str, Any] = {"schema": await self._text_of(id_in(request))}
        if flag(request, "fetchMaxId"):
            value["maxId"] = self._store.state.last_id
        return answer(value)

    async def schema_text(self, request: Request) -> Response:
        """GET /schemas/ids/{id}/schema: the schema's text itself."""
        return _text(await self._text_of(id_in(request)))

    async def schema_subjects(self, request: Request) -> Response:
        """GET /schemas/ids/{id}/subjects."""
        places = await self._places(request)
        return answer(page(request, [subject for subject, _ in places]))

    async def schema_versions(self, request: Request) -> Response:
        """GET /schemas/ids/{id}/versions."""
        places = await self._places(request)
        found = [{"subject": subject, "version": number} for subject, number in places]
        return answer(page(request, found))

    async def check(self, request: Request) -> Response:
        """POST /compatibility/subjects/{subject}/versions: against all that the level asks for."""
        subject, body = subject_in(request), await body_of(request)
        sent = rules.candidate(schema_in(body))
        await self._store.refresh()
        return self._checked(request, subject, sent, self._store.state.versions(subject))

    async def check_version(self, request: Request) -> Response:
        """POST /compatibility/subjects/{subject}/versions/{version}: against that version."""
        subject, body = subject_in(request), await body_of(request)
        sent = rules.candidate(schema_in(body))
        found = await self._version(subject, version_in(request))
        return self._checked(request, subject, sent, [found])

    def _checked(
        self, request: Request, subject: str, sent: rules.Candidate, history: list[Version]
    ) -> Response:
        broken = rules.breaches(self._store.state, subject, sent, history)
        value: dict[str, Any] = {"is_compatible": not broken}
        if flag(request, "verbose"):
            lost = self._impact.of_schema(subject, sent)
            value["messages"] = [*broken, *lost]
            if lost:
                value["impact"] = lost
        return answer(value)

    async def global_level(self, request: Request) -> Response:
        """GET /config."""
        await self._store.refresh()
        return answer({"compatibilityLevel": self._store.state.global_level})

    async def level(self, request: Request) -> Response:
        """GET /config/{subject}."""
        subject = subject_in(request)
        await self._store.refresh()
        level = self._store.state.own_level(subject)
        if level is None and flag(request, "defaultToGlobal"):
            level = self._store.state.global_level
        if level is None:
            raise refusals.no_level_of_its_own(subject)
        return answer({"compatibilityLevel": level})

    async def set_global_level(self, request: Request) -> Response:
        """PUT /config."""
        return await self._set_level(None, await body_of(request))

    async def set_level(self, request: Request) -> Response:
        """PUT /config/{subject}."""
        return await self._set_level(subject_in(request), await body_of(request))

    async def _set_level(self, subject: str | None, body: dict[str, Any]) -> Response:
        level = rules.known_level(body.get("compatibility"))
        await self._store.change(lambda state: rules.set_level(state, subject, level))
        return answer({"compatibility": level})

    async def mode(self, request: Request) -> Response:
        """GET /mode."""
        return answer({"mode": "READWRITE"})

    async def subject_mode(self, request: Request) -> Response:
        """GET /mode/{subject}: subjects have no mode of their own here."""
        if not flag(request, "defaultToGlobal"):
            raise refusals.no_mode_of_its_own(subject_in(request))
        return await self.mode(request)

    async def associations(self, request: Request) -> Response:
        """GET /associations/resources/-/{resource}: none, so clients go by the topic's name."""
        raise refusals.no_association(part_of(request, "resource"))

    async def contracts(self, request: Request) -> Response:
        """GET /contracts: the topics of all contracts in force."""
        await self._store.refresh()
        return answer(page(request, self._store.state.topics))

    async def contract(self, request: Request) -> Response:
        """GET /contracts/{topic}: the contract and the ids of its schemas."""
        topic = part_of(request, "topic")
        await self._store.find(lambda state: state.contract(topic))
        return answer(rules.described(self._store.state, topic))

    async def put_contract(self, request: Request) -> Response:
        """PUT /contracts/{topic}: put a contract in force."""
        topic, body = part_of(request, "topic"), await body_of(request)
        if isinstance(versions := body.get("versions"), list):
            self._check_versions(topic, versions)
        contract = Contract.from_json(body)
        if contract.topic != topic:
            raise refusals.invalid_contract(f"it is about {contract.topic}, not {topic}")
        return answer(await self.put_in_force(contract))

    def _check_versions(self, topic: str, versions: list[Any]) -> None:
        """Refuse broken promises with all their sentences, before rules that name only one."""
        if len(versions) > MAX_VERSIONS:
            raise refusals.invalid_contract(f"it has more than {MAX_VERSIONS} versions")
        candidates = [rules.candidate(version) for version in versions]
        rules.check_versions(self._store.state, topic, candidates)

    async def put_in_force(self, contract: Contract) -> dict[str, Any]:
        """Put a contract in force: make its topic, then register its versions and itself.

        Raises:
            Refusal: it breaks a promise, or changes what is fixed.
            BusUnavailable: the bus cannot be reached.
        """

        def decide(state: State) -> dict[str, Any] | Write[dict[str, Any]]:
            return rules.put_contract(state, contract)

        await self._store.refresh()
        decide(self._store.state)  # what would be refused gets no topic
        try:
            await self._admin.ensure_topic(contract.topic_spec())
        except Conflict as error:
            raise refusals.contract_conflict(contract.topic, str(error)) from error
        lost = self._impact.of_contract(contract)
        done = await self._store.change(decide)
        _log(lost)
        return done

    async def _text_of(self, schema_id: int) -> str:
        text = await self._store.find(lambda state: state.text(schema_id))
        if text is None:
            raise refusals.schema_not_found(schema_id)
        return text

    async def _places(self, request: Request) -> list[tuple[str, int]]:
        await self._store.refresh()
        schema_id = id_in(request)
        await self._text_of(schema_id)
        wanted = request.query_params.get("subject")
        places = self._store.state.places(schema_id)
        return [place for place in places if wanted in (None, "", place[0])]

    async def _versions_of(self, subject: str) -> list[Version]:
        await self._store.refresh()
        found = await self._store.find(lambda state: state.versions(subject) or None)
        if found is None:
            raise refusals.subject_not_found(subject)
        return found

    async def _version(self, subject: str, number: int) -> Version:
        if number == LATEST:
            return (await self._versions_of(subject))[-1]

        def look(state: State) -> Version | None:
            versions = state.versions(subject)
            return versions[number - 1] if number <= len(versions) else None

        found = await self._store.find(look)
        if found is not None:
            return found
        if self._store.state.versions(subject):
            raise refusals.version_not_found(number)
        raise refusals.subject_not_found(subject)


def _log(lost: Sequence[str]) -> None:
    for sentence in lost[:MOST_LOGGED]:
        log.warning("%s", sentence)
    if len(lost) > MOST_LOGGED:
        log.warning("%d further recipients lose something by that", len(lost) - MOST_LOGGED)


def _routes(handlers: list[tuple[str, str, Handler]]) -> list[Route]:
    return [Route(path, handler, methods=[method]) for method, path, handler in handlers]


def _described(version: Version) -> dict[str, Any]:
    subject, number, schema_id, text = version
    return {"subject": subject, "version": number, "id": schema_id, "schema": text}


def _text(text: str) -> Response:
    return Response(text, media_type="application/json")


async def _on_error(request: Request, error: Exception) -> Response:
    return refused(refusals.of(error))
