"""Requests in, answers out, in the shape of Confluent's registry."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from bus.avro.schema import load
from bus.errors import InvalidSchema
from bus.registry import refusals
from bus.registry.refusals import Refusal
from bus.registry.state import encode

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_BODY = 2**20
MAX_SUBJECT = 255
BASIC = 'Basic realm="stadtbus", charset="UTF-8"'
BEARER = 'Bearer realm="stadtbus", error="invalid_token"'
"""How one logs in here, as a refusal says it (RFC 7617, RFC 6750)."""

LATEST = -1
"""The version that stands for the newest one, as ``latest`` does."""

Handler = Callable[[Request], Awaitable[Response]]
Item = TypeVar("Item")


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(encode(value), status, media_type=MEDIA_TYPE)


def refused(refusal: Refusal) -> Response:
    """Return an answer that says no; what may go well later says when to ask again."""
    response = answer({"error_code": refusal.code, "message": refusal.message}, refusal.status)
    if refusal.status == 503:
        response.headers["retry-after"] = "1"
    if refusal.status == 401:
        by_token = refusal.code == refusals.TOKEN_REFUSED
        response.headers["www-authenticate"] = BEARER if by_token else BASIC
    return response


async def body_of(request: Request) -> dict[str, Any]:
    """Return a request's body, a JSON object.

    Raises:
        Refusal: 413, it is too large; 400, it is no JSON object.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise refusals.too_large(MAX_BODY)
        pieces.append(piece)
    try:
        value = load(b"".join(pieces).decode(), max_bytes=MAX_BODY)
    except UnicodeDecodeError as error:
        raise refusals.malformed("The request's body is not UTF-8.") from error
    except InvalidSchema as error:
        raise refusals.malformed(f"The request's body cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise refusals.malformed("The request's body is no JSON object.")
    return value


def schema_in(body: dict[str, Any]) -> str:
    """Return the schema's text in a body; what we do not know beside it is let be.

    Raises:
        Refusal: 42201, there is none, or it is of a kind that we do not serve.
    """
    kind = body.get("schemaType") or "AVRO"
    if kind != "AVRO":
        raise refusals.invalid_schema(f"schemas of type {kind} are not served here, only AVRO")
    if body.get("references"):
        raise refusals.invalid_schema(
            "references to other subjects are not served here; write the types into the schema"
        )
    text = body.get("schema")
    if not isinstance(text, str) or not text.strip():
        raise refusals.invalid_schema('"schema" is missing, or is not the text of a schema')
    return text


def subject_in(request: Request) -> str:
    """Return the subject in a path.

    Raises:
        Refusal: 42208, no subject could be named so.
    """
    subject = part_of(request, "subject")
    if not subject.strip() or not subject.isprintable() or len(subject) > MAX_SUBJECT:
        raise refusals.invalid_subject(subject)
    return subject


def part_of(request: Request, name: str) -> str:
    """Return a part of the path; paths are matched before ``%2F`` and the like are decoded."""
    return unquote(str(request.path_params[name]), errors="replace")


def version_in(request: Request) -> int:
    """Return the version in a path; `LATEST` for the newest.

    Raises:
        Refusal: 42202, it is neither a version nor ``latest``.
    """
    text = part_of(request, "version")
    if text in ("latest", "-1"):
        return LATEST
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:11]) < 2**31):
        raise refusals.invalid_version(text)
    return int(text)


def id_in(request: Request) -> int:
    """Return the schema id in a path.

    Raises:
        Refusal: it is no number that an id can be, so there is no such schema.
    """
    text = part_of(request, "id")
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        raise refusals.schema_not_found(text[:40])
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Return a query parameter that is true or false."""
    return request.query_params.get(name, "").lower() == "true"


def page(request: Request, items: Sequence[Item]) -> list[Item]:
    """Return the part of a list that ``offset`` and ``limit`` ask for; a limit of -1 is none.

    Raises:
        Refusal: 400, they are no numbers.
    """
    try:
        offset = int(request.query_params.get("offset", "0"))
        limit = int(request.query_params.get("limit", "-1"))
    except ValueError as error:
        raise refusals.malformed("offset and limit are numbers") from error
    start = max(offset, 0)
    return list(items[start:] if limit < 0 else items[start : start + limit])
