"""Who may write which topics."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.produced import PartAnswer, TopicAnswer
from bus.broker.security.access import Access
from bus.broker.security.rules import Kind, Operation
from bus.broker.wire import Request


def withheld(request: Request, access: Access) -> Sequence[TopicAnswer]:
    """Take out of a Produce request what may not be written; return what that is answered."""
    body, api = request.body, request.key.name
    transaction = body.transactional_id
    allowed: list[Any] = []
    refused = body.topic_data
    error = ErrorCode.transactional_id_authorization_failed
    if transaction is None or access.may(
        Operation.WRITE, Kind.TRANSACTIONAL_ID, transaction, api=api
    ):
        error, refused = ErrorCode.topic_authorization_failed, []
        for one in body.topic_data:
            writes = access.may(Operation.WRITE, Kind.TOPIC, one.name, api=api)
            (allowed if writes else refused).append(one)
    if not refused:
        return ()
    request.body = dataclasses.replace(body, topic_data=tuple(allowed))
    return [
        TopicAnswer(one.name, [PartAnswer(part.index, error) for part in one.partition_data])
        for one in refused
    ]
