"""Who may write which topics."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kio.schema.errors import ErrorCode

from bus.broker.produced import PartAnswer, TopicAnswer
from bus.broker.security.access import Access
from bus.broker.security.rules import Kind, Operation
from bus.broker.wire import Request

_ATTRIBUTES_AT = 22  # the lower byte of a batch's attributes
_TRANSACTIONAL = 1 << 4


def withheld(request: Request, access: Access) -> Sequence[TopicAnswer]:
    """Take out of a Produce request what may not be written; return what that is answered."""
    body, api = request.body, request.key.name
    allowed: list[Any] = []
    refused = body.topic_data
    error = ErrorCode.transactional_id_authorization_failed
    name = body.transactional_id
    if not _of_transactions(body) or (
        name is not None and access.may(Operation.WRITE, Kind.TRANSACTIONAL_ID, name, api=api)
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


def _of_transactions(body: Any) -> bool:
    """Whether any batch is part of a transaction; its id alone, without one, needs no right."""
    return any(
        len(part.records or b"") > _ATTRIBUTES_AT and part.records[_ATTRIBUTES_AT] & _TRANSACTIONAL
        for topic in body.topic_data
        for part in topic.partition_data
    )
