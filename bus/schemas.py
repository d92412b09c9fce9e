"""The registry's client: schemas by id, ids by schema, contracts; what cannot change is kept.

Immutable answers are kept in memory, and on disk where a folder is given, so that a registry that
is down stops neither publishers nor subscribers. Contracts, which gain versions, are asked for anew
and taken from the folder only where the registry cannot be reached.
"""

import hashlib
import json
import logging
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from bus.contracts import Contract
from bus.errors import (
    BusError,
    BusUnavailable,
    Conflict,
    IncompatibleSchema,
    InvalidContract,
    InvalidSchema,
    NotFound,
)
from bus.rest import Answered, RestClient, way_in
from bus.settings import Settings

log = logging.getLogger(__name__)

_DETAILS = "details: "


class Checked(NamedTuple):
    """What the registry finds of a schema: a sentence for each.

    Args:
        problems: promises that it would break; none if it fits.
        impact: what recipients would lose by it, by the live grants.
    """

    problems: list[str]
    impact: list[str]


class SchemaClient:
    """Asks the schema registry.

    Args:
        url: where the registry is.
        cache: a folder to keep answers in; what is kept there is told apart by the URL.
        login: user and password, which are sent over https alone.
        ca_file: certificates (PEM) that the registry's must lead to; the system's if None.

    Raises:
        InvalidSettings: the certificates cannot be used.
    """

    def __init__(
        self,
        url: str,
        cache: Path | None = None,
        *,
        login: tuple[str, str] | None = None,
        ca_file: Path | None = None,
        certificate: tuple[Path, Path | None] | None = None,
    ) -> None:
        self._rest = RestClient(url, login=login, ca_file=ca_file, certificate=certificate)
        self._url = self._rest.url
        name = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        self._cache = cache / name if cache is not None else None
        self._schemas: dict[int, Any] = {}
        self._ids: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, settings: Settings, cache: Path | None = None) -> Self:
        """Return the client of the registry that the settings name.

        Over https it logs in as the user that the engine knows, or with the certificate that is
        shown to the engine.

        Raises:
            InvalidSettings: the certificates or the password cannot be used.
        """
        return cls(settings.registry.url, cache, **way_in(settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def contracts(self) -> list[str]:
        """Return the topics of all contracts in force."""
        return list(await self._ask("GET", "/contracts"))

    async def contract(self, topic: str) -> Contract:
        """Return the contract in force for a topic, with the ids of its schemas.

        Raises:
            NotFound: there is none.
            BusUnavailable: the registry cannot be reached, and the contract was never kept.
        """
        try:
            value = await self._ask("GET", f"/contracts/{quote(topic, safe='')}")
        except BusUnavailable:
            value = self._kept(f"contract-{topic}")
            if value is None:
                raise
            log.warning("registry %s cannot be reached, using the kept contract", self._url)
            return Contract.from_json(value, topic)
        contract = Contract.from_json(value, topic)
        self._keep(f"contract-{topic}", value)
        return contract

    async def put_contract(self, contract: Contract) -> Contract:
        """Put a contract in force and return it with the ids of its schemas.

        Raises:
            InvalidContract: the registry finds a rule broken.
            Conflict: it cannot follow the one in force.
        """
        body = contract.to_json()
        body.pop("schema_ids")
        path = f"/contracts/{quote(contract.topic, safe='')}"
        return Contract.from_json(await self._ask("PUT", path, body), contract.topic)

    async def schema(self, schema_id: int) -> Any:
        """Return the schema with an id, as JSON.

        Raises:
            NotFound: there is none.
            BusUnavailable: the registry cannot be reached.
        """
        if schema_id not in self._schemas:
            text = self._kept(f"schema-{schema_id}")
            if text is None:
                text = (await self._ask("GET", f"/schemas/ids/{schema_id}"))["schema"]
                self._keep(f"schema-{schema_id}", text)
            self._schemas[schema_id] = json.loads(text)
        return self._schemas[schema_id]

    async def schema_on(self, topic: str, schema_id: int) -> Any:
        """Return a schema by its id if it is registered for a topic's values.

        Raises:
            NotFound: there is no such schema, or it is none of this topic's.
            BusUnavailable: the registry cannot be reached, and the answer was never kept.
        """
        schema = await self.schema(schema_id)
        if await self.id_of(f"{topic}-value", schema) != schema_id:
            raise NotFound(f"schema {schema_id} is none of this topic's", where=topic)
        return schema

    async def id_of(self, subject: str, schema: Any) -> int:
        """Return the id of a schema that is registered under a subject.

        Raises:
            NotFound: it is not registered there.
        """
        text = _text(schema)
        name = f"id-{subject}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        if (subject, text) not in self._ids:
            found = self._kept(name)
            if found is None:
                path = f"/subjects/{quote(subject, safe='')}"
                found = (await self._ask("POST", path, {"schema": text}))["id"]
                self._keep(name, found)
            self._ids[subject, text] = int(found)
        return self._ids[subject, text]

    async def subjects(self) -> list[str]:
        """Return all subjects."""
        return list(await self._ask("GET", "/subjects"))

    async def versions(self, subject: str) -> list[int]:
        """Return the numbers of a subject's versions.

        Raises:
            NotFound: there is no such subject.
        """
        return list(await self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions"))

    async def version(self, subject: str, version: int | str = "latest") -> dict[str, Any]:
        """Return one version of a subject: ``id``, ``version`` and ``schema`` (text).

        Raises:
            NotFound: there is no such subject or version.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
        return dict(await self._ask("GET", path))

    async def level(self, subject: str) -> str:
        """Return the compatibility level in force for a subject."""
        path = f"/config/{quote(subject, safe='')}?defaultToGlobal=true"
        return str((await self._ask("GET", path))["compatibilityLevel"])

    async def register(self, subject: str, schema: Any) -> int:
        """Register a schema under a subject, and return its id.

        Raises:
            IncompatibleSchema: it breaks a promise made to those who read or write already.
            InvalidSchema: it is no Avro, or goes past the limits.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions"
        return int((await self._ask("POST", path, {"schema": _text(schema)}, subject))["id"])

    async def check(self, subject: str, schema: Any) -> Checked:
        """Return what a schema would break, and who would lose what by it.

        Raises:
            InvalidSchema: it is no Avro, or goes past the limits.
        """
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions?verbose=true"
        answer = await self._ask("POST", path, {"schema": _text(schema)})
        lost = list(answer.get("impact") or ())
        if answer.get("is_compatible"):
            return Checked([], lost)
        said = [one for one in answer.get("messages") or () if one not in lost]
        return Checked(said or ["it is not compatible"], lost)

    async def _ask(self, method: str, path: str, body: Any = None, subject: str = "") -> Any:
        try:
            return await self._rest.ask(method, path, body)
        except Answered as answer:
            raise self._refusal(answer.status, answer.message, path, subject) from answer

    def _refusal(self, status: int, message: str, path: str, subject: str) -> BusError:
        contract = path.startswith("/contracts/")
        where = subject or f"{self._url}{path}"
        if status == 409 and not contract:
            return _incompatible(subject, message)
        kinds: dict[int, type[BusError]] = {
            404: NotFound,
            409: Conflict,
            413: InvalidContract if contract else InvalidSchema,
            422: InvalidContract if contract else InvalidSchema,
        }
        if status in kinds:
            return kinds[status](message, where=where)
        return BusError(f"the registry answers {status}: {message}", where=where)

    def _kept(self, name: str) -> Any:
        if self._cache is None:
            return None
        try:
            return json.loads((self._cache / f"{quote(name, safe='')}.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("the kept answer %s cannot be used: %s", name, error)
            return None

    def _keep(self, name: str, value: Any) -> None:
        if self._cache is None:
            return
        file = self._cache / f"{quote(name, safe='')}.json"
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
            draft.replace(file)
        except OSError as error:
            # Keeping is a precaution; whoever asks has the answer anyway.
            log.warning("cannot keep %s: %s", file, error)


def _text(schema: Any) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema, ensure_ascii=False)


def _incompatible(subject: str, message: str) -> IncompatibleSchema:
    """Read the level and the sentences out of the registry's message."""
    before, _, details = message.partition(_DETAILS)
    level = before.rpartition("compatibility: ")[2].strip(" ,") or "bound to earlier versions"
    try:
        problems = [str(problem) for problem in json.loads(details)]
    except ValueError:
        problems = [message]
    return IncompatibleSchema(subject, level, problems)
