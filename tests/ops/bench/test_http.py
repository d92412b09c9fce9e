"""Answers are taken from the wire once they are whole."""

import pytest

from ops.bench.http import Answer, request, split


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        pytest.param(b"", None, id="nothing yet"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", None, id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", None, id="half a body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", (200, b"{}"), id="all of it"
        ),
        pytest.param(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nx: y\r\n\r\n", (404, b""), id="no body"
        ),
    ],
)
def test_an_answer_is_whole_or_not_there(received: bytes, answer: Answer | None) -> None:
    assert split(received) == answer


def test_a_request_says_how_long_it_is() -> None:
    assert request("POST", "/x", "h:1", b"{}") == (
        b"POST /x HTTP/1.1\r\nhost: h:1\r\ncontent-length: 2\r\n"
        b"content-type: application/vnd.schemaregistry.v1+json\r\n\r\n{}"
    )
