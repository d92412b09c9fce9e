"""Whatever goes wrong has an answer in Confluent's shape, and tells nothing from inside."""

import pytest
from starlette.exceptions import HTTPException

from bus.errors import (
    BusUnavailable,
    EventTooLarge,
    InvalidContract,
    InvalidStatement,
    NotAuthorised,
    OutcomeUnknown,
    PositionLost,
    StatementRefused,
    StorageFull,
)
from bus.registry import refusals


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(refusals.subject_not_found("s"), 404, 40401, id="a refusal is its own"),
        pytest.param(OutcomeUnknown("x"), 503, 50002, id="an unknown outcome may be tried again"),
        pytest.param(BusUnavailable("x"), 503, 50001, id="so may what was not written"),
        pytest.param(StorageFull("x"), 503, 50002, id="and what waits for room"),
        pytest.param(EventTooLarge("x"), 422, 42201, id="a schema too large for the journal"),
        pytest.param(InvalidContract("x"), 422, 42291, id="a contract that the engine refuses"),
        pytest.param(InvalidStatement("x"), 422, 42292, id="a statement that cannot be read"),
        pytest.param(StatementRefused("x", reason="y"), 409, 40992, id="one without effect"),
        pytest.param(PositionLost("x"), 500, 50001, id="a journal that has lost entries"),
        pytest.param(NotAuthorised("x"), 500, 50001, id="a journal that is not for us"),
        pytest.param(HTTPException(405), 405, 405, id="what HTTP has a code for"),
        pytest.param(ZeroDivisionError("secret"), 500, 500, id="a fault of our own"),
    ],
)
def test_every_error_has_an_answer(error: Exception, status: int, code: int) -> None:
    refusal = refusals.of(error)
    assert (refusal.status, refusal.code) == (status, code)
    assert "secret" not in refusal.message
