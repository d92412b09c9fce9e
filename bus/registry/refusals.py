"""Answers that say no, with the codes and the words of Confluent's registry."""

import json
from collections.abc import Sequence

from starlette.exceptions import HTTPException

from bus.avro.compatibility import LEVELS
from bus.errors import (
    BusError,
    BusUnavailable,
    EventTooLarge,
    InvalidContract,
    InvalidGrant,
    InvalidStatement,
    OutcomeUnknown,
    StatementRefused,
)

TOKEN_REFUSED = 40102


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        code: Confluent's number for the reason; its first digits are the status.
        message: for people.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


def subject_not_found(subject: str) -> Refusal:
    return Refusal(404, 40401, f"Subject '{subject}' not found.")


def version_not_found(version: int | str) -> Refusal:
    return Refusal(404, 40402, f"Version {version} not found.")


def schema_not_found(schema_id: int | str | None = None) -> Refusal:
    which = "Schema" if schema_id is None else f"Schema {schema_id}"
    return Refusal(404, 40403, f"{which} not found")


def no_level_of_its_own(subject: str) -> Refusal:
    message = f"Subject '{subject}' does not have subject-level compatibility configured"
    return Refusal(404, 40408, message)


def no_mode_of_its_own(subject: str) -> Refusal:
    return Refusal(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def no_association(resource: str) -> Refusal:
    return Refusal(404, 40410, f"No association found for resource '{resource}'")


def contract_not_found(topic: str) -> Refusal:
    return Refusal(404, 40491, f"There is no contract for the topic '{topic}'.")


def incompatible(subject: str, level: str, problems: Sequence[str]) -> Refusal:
    """The details are a JSON list of sentences, for programs that want them one by one."""
    details = json.dumps(list(problems), ensure_ascii=False)
    return Refusal(
        409,
        40901,
        "Schema being registered is incompatible with an earlier schema for subject "
        f'"{subject}", compatibility: {level}, details: {details}',
    )


def contract_conflict(topic: str, reason: str) -> Refusal:
    return Refusal(409, 40991, f"The contract of '{topic}' cannot be put in force: {reason}")


def invalid_schema(reason: str) -> Refusal:
    return Refusal(422, 42201, f"Invalid schema: {reason}")


def invalid_version(version: str) -> Refusal:
    return Refusal(
        422,
        42202,
        f"The specified version '{version}' is not a valid version id. Allowed values are between "
        '[1, 2^31-1] and the string "latest"',
    )


def invalid_level(level: object) -> Refusal:
    known = ", ".join(name.lower() for name in LEVELS)
    return Refusal(422, 42203, f"Invalid compatibility level {level!r}. Valid values are {known}")


def not_permitted(reason: str) -> Refusal:
    return Refusal(422, 42205, reason)


def invalid_subject(subject: str) -> Refusal:
    return Refusal(422, 42208, f"The specified subject '{subject}' is not valid.")


def invalid_contract(reason: str) -> Refusal:
    return Refusal(422, 42291, f"Invalid contract: {reason}")


def invalid_statement(reason: str) -> Refusal:
    return Refusal(422, 42292, f"Invalid statement: {reason}")


def statement_refused(reason: str) -> Refusal:
    return Refusal(409, 40992, f"The statement has no effect: {reason}")


def no_root_from_here() -> Refusal:
    message = "The first root is named by who may write at the registry: POST /trust/root."
    return Refusal(403, 40302, message)


def not_logged_in(reason: str) -> Refusal:
    return Refusal(401, 40101, reason)


def token_refused(reason: str) -> Refusal:
    return Refusal(401, TOKEN_REFUSED, f"The token lets nobody in: {reason}.")


def too_often(seconds: float) -> Refusal:
    return Refusal(429, 42901, f"Too many wrong tokens: try again in {seconds:.0f} seconds.")


def not_entitled(user: str, what: str) -> Refusal:
    message = f"The user {user} may read here, but not {what}."
    return Refusal(403, 40301, message)


def locked_out(user: str) -> Refusal:
    message = f"The system {user} is retired, or its member is suspended or has left."
    return Refusal(403, 40303, message)


def locked_out_token(reason: str) -> Refusal:
    return Refusal(403, 40303, f"{reason[:1].upper()}{reason[1:]}.")


def malformed(reason: str) -> Refusal:
    return Refusal(400, 400, reason)


def too_large(limit: int) -> Refusal:
    return Refusal(413, 413, f"The request's body is larger than {limit} bytes.")


def store_unavailable(reason: str) -> Refusal:
    return Refusal(503, 50001, f"The bus that holds the registry's state is not there: {reason}")


def outcome_unknown(reason: str) -> Refusal:
    return Refusal(503, 50002, f"The operation timed out: {reason}")


def of(error: Exception) -> Refusal:
    """Return the answer for whatever went wrong; what we did not foresee tells nothing inside."""
    match error:
        case Refusal():
            return error
        case OutcomeUnknown():
            return outcome_unknown(str(error))
        case BusUnavailable():
            return store_unavailable(str(error))
        case EventTooLarge():
            return invalid_schema("it is too large for one entry of the journal")
        case InvalidContract():
            return invalid_contract(str(error))
        case InvalidStatement() | InvalidGrant():
            return invalid_statement(str(error))
        case StatementRefused():
            return statement_refused(str(error))
        case BusError():
            return Refusal(500, 50001, f"Error in the backend data store: {error}")
        case HTTPException(status_code=status, detail=detail):
            return Refusal(status, status, f"HTTP {status} {detail}")
    return Refusal(500, 500, "Internal Server Error")
