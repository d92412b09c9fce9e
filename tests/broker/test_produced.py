"""The answer to Produce against kio's own writer."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.broker.apis import APIS
from bus.broker.produced import PartAnswer, TopicAnswer, write
from bus.broker.wire import Fields, write_answer

PARTS = st.builds(
    PartAnswer,
    index=st.integers(0, 2**31 - 1),
    error=st.sampled_from([ErrorCode.none, ErrorCode.kafka_storage_error]),
    offset=st.integers(-1, 2**40),
    time=st.sampled_from([-1, 0, 1_700_000_000_123]),
    start=st.integers(-1, 2**40),
    reason=st.sampled_from([None, "", "too large", "ü" * 200]),
    named=st.lists(st.tuples(st.integers(0, 2**31 - 1), st.sampled_from(["", "no key"]))),
)
TOPICS = st.lists(
    st.builds(
        TopicAnswer, name=st.sampled_from(["t", "x" * 249]), parts=st.lists(PARTS, max_size=3)
    ),
    max_size=3,
)


def fields(topics: list[TopicAnswer]) -> Fields:
    """Return the same answer as kio's classes have it."""
    return {
        "responses": [
            {
                "name": topic.name,
                "partition_responses": [
                    {
                        "index": part.index,
                        "error_code": part.error,
                        "base_offset": part.offset,
                        "log_append_time": moment(part.time),
                        "log_start_offset": part.start,
                        "record_errors": [
                            {"batch_index": place, "batch_index_error_message": reason}
                            for place, reason in part.named
                        ],
                        "error_message": part.reason,
                    }
                    for part in topic.parts
                ],
            }
            for topic in topics
        ]
    }


def moment(milliseconds: int) -> datetime | None:
    """Return a time as kio has it."""
    return None if milliseconds < 0 else datetime.fromtimestamp(milliseconds / 1000, UTC)


@pytest.mark.parametrize(
    "version", range(APIS[ApiKey.PRODUCE].lowest, APIS[ApiKey.PRODUCE].highest + 1)
)
@given(topics=TOPICS)
def test_it_is_written_as_kio_writes_it(version: int, topics: list[TopicAnswer]) -> None:
    assert write(version, 7, topics) == write_answer(ApiKey.PRODUCE, version, 7, fields(topics))
