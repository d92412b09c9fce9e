"""Connections: which versions there are, and what ends a connection."""

import struct

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import Raw, frame

NEEDED = {
    ApiKey.PRODUCE: (0, 11),
    ApiKey.FETCH: (4, 12),
    ApiKey.LIST_OFFSETS: (1, 8),
    ApiKey.METADATA: (0, 12),
    ApiKey.OFFSET_COMMIT: (2, 9),
    ApiKey.OFFSET_FETCH: (1, 9),
    ApiKey.FIND_COORDINATOR: (0, 6),
    ApiKey.JOIN_GROUP: (2, 9),
    ApiKey.SYNC_GROUP: (0, 5),
    ApiKey.CREATE_TOPICS: (2, 7),
    ApiKey.INIT_PRODUCER_ID: (0, 5),
}
"""What clients that are tried ask for, at the lowest and at the highest."""


@pytest.mark.parametrize("version", range(5))
async def test_api_versions(raw: Raw, version: int) -> None:
    """Every version of ApiVersions lists what is served, with all that the clients need."""
    more = {"client_software_name": "raw", "client_software_version": "1"}
    answer = await raw.ask(ApiKey.API_VERSIONS, version, **more)
    assert answer.error_code is ErrorCode.none
    table = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
    for key, (lowest, highest) in NEEDED.items():
        assert table[key][0] <= lowest, key.name
        assert table[key][1] >= highest, key.name


async def test_unknown_api_versions(raw: Raw) -> None:
    """A version of ApiVersions that is too new is answered in version 0, with what there is."""
    raw.writer.write(frame(ApiKey.API_VERSIONS, 99, b"whatever", tags=True))
    answer = raw.read(ApiKey.API_VERSIONS, 0, await raw.answer())
    assert answer.error_code is ErrorCode.unsupported_version
    assert ApiKey.API_VERSIONS in {api.api_key for api in answer.api_keys}


@pytest.mark.parametrize(
    "name", [pytest.param("no/good", id="name"), pytest.param("", id="no name")]
)
async def test_software_names(raw: Raw, name: str) -> None:
    """A client that calls itself what no software is called is refused."""
    answer = await raw.ask(
        ApiKey.API_VERSIONS, 3, client_software_name=name, client_software_version="1"
    )
    assert answer.error_code is ErrorCode.invalid_request


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(struct.pack(">i", -1), id="negative size"),
        pytest.param(struct.pack(">i", 3) + b"abc", id="too short for a header"),
        pytest.param(struct.pack(">i", 2**30), id="larger than the limit"),
        pytest.param(frame(999, 0, b""), id="unknown API"),
        pytest.param(frame(ApiKey.METADATA, 77, b""), id="unknown version"),
        pytest.param(frame(ApiKey.PRODUCE, 2, b""), id="advertised but not served"),
        pytest.param(frame(ApiKey.METADATA, 4, b"\x7f\xff\xff\xff"), id="lengths that lie"),
        pytest.param(frame(ApiKey.METADATA, 4, b""), id="no body"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", id="another protocol"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
    ],
)
async def test_what_cannot_be_read(address: Address, sent: bytes) -> None:
    """A request that cannot be read ends its connection, and no other one."""
    async with await Raw.to(address) as other, await Raw.to(address) as raw:
        await other.ask(ApiKey.METADATA, 1, topics=[])
        raw.writer.write(sent)
        assert await raw.answer() == b""
        await other.ask(ApiKey.METADATA, 1, topics=[])


async def test_bytes_after_a_request(raw: Raw) -> None:
    """Bytes behind the last field of a request are not minded."""
    raw.writer.write(frame(ApiKey.METADATA, 1, struct.pack(">i", 0) + b"more"))
    answer = raw.read(ApiKey.METADATA, 1, await raw.answer())
    assert answer.topics == ()


async def test_client_ids(raw: Raw) -> None:
    """A client need not say its name."""
    body = struct.pack(">hhihi", ApiKey.METADATA, 1, 7, -1, 0)
    raw.writer.write(struct.pack(">i", len(body)) + body)
    assert raw.read(ApiKey.METADATA, 1, await raw.answer()).topics == ()


async def test_correlation(raw: Raw) -> None:
    """Each answer carries the number of its request."""
    for number in (0, 1, -1, 2**31 - 1, -(2**31)):
        body = struct.pack(">i", 0)
        raw.writer.write(frame(ApiKey.METADATA, 1, body, number))
        assert struct.unpack_from(">i", await raw.answer()) == (number,)
