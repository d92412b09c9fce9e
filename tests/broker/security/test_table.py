"""No API is served without a right."""

from typing import Any, cast

from kio.schema.errors import ErrorCode

from bus.broker.apis import APIS
from bus.broker.engine import Engine
from bus.broker.keys import ApiKey
from bus.broker.rights.table import RIGHTS, guarded
from bus.broker.security.access import Access
from bus.broker.security.audit import Audit
from bus.broker.security.rules import Kind, Operation, Pattern, Permission, Rule, Rules
from bus.broker.wire import Fields, Request, read_request
from bus.telemetry import Telemetry
from tests.broker.raw import fetch_fields, request


def test_each_api_has_a_right() -> None:
    """Each API that is served has its right, or is for everybody by name."""
    assert set(RIGHTS) == set(APIS) - {ApiKey.PRODUCE}


async def test_a_fetch_that_waits_is_felt_to_be_denied() -> None:
    """What was written after a right was taken is not told, however long the request is there."""
    may = Rule(Kind.TOPIC, Pattern.PREFIXED, "t", "User:a", "*", Operation.READ, Permission.ALLOW)
    rules = Rules([may], ())
    access = Access(rules, Audit(Telemetry()), "User:a", "127.0.0.1")
    told = {"partition_index": 0, "error_code": ErrorCode.none, "records": b"secret"}

    async def waits(_: Engine, request: Request) -> Fields:
        assert [topic.topic for topic in request.body.topics] == ["t"]
        rules.change([], [may])
        return {"error_code": ErrorCode.none, "responses": [{"topic": "t", "partitions": [told]}]}

    sent = request(ApiKey.FETCH, 4, fetch_fields("t", 0))[4:]
    answer = await guarded(cast("Any", None), read_request(sent, ApiKey.FETCH, 4, 7), waits, access)
    (topic,) = answer["responses"]
    (part,) = topic["partitions"]
    assert (part["error_code"], part["records"]) == (ErrorCode.topic_authorization_failed, b"")
