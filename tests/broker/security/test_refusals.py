"""Every version of every API: who may do nothing is refused in the form of that version."""

import asyncio
import dataclasses
import uuid
from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from kio.index import load_request_schema

from bus.broker.apis import APIS
from bus.broker.keys import ApiKey
from tests.engines.login import encrypted, log_in
from tests.engines.rights import errors
from tests.secured import SecuredBroker

FREE = {ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE, ApiKey.API_VERSIONS}
ANSWERED_TO_ALL = {ApiKey.DESCRIBE_CLUSTER, ApiKey.LIST_GROUPS, ApiKey.LIST_TRANSACTIONS}
WITHOUT_ERROR = {(ApiKey.DESCRIBE_LOG_DIRS, version) for version in (0, 1, 2)}
"""Versions that have no place for the error of the whole request."""

MEANT = {"replica_id": -1, "acks": -1, "endpoint_type": 1}
"""What fields have to hold for a request to be that of a client that is answered."""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker where nobody but the administrator may do anything."""
    with SecuredBroker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture(scope="module")
def login(secured: SecuredBroker) -> tuple[str, str]:
    """A user who may do nothing."""
    return asyncio.run(secured.add_user("nobody")).login()


def one_of_each(schema: Any) -> dict[str, Any]:
    """Return a request's fields: each array holds one item, each text is ``x``."""
    return {field.name: _value(field) for field in dataclasses.fields(schema)}


def _value(field: Any) -> Any:
    kinds = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
    kind = next(one for one in kinds if one is not type(None))
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return (one_of_each(item) if dataclasses.is_dataclass(item) else _plain(field),)
    return one_of_each(kind) if dataclasses.is_dataclass(kind) else _plain(field)


def _plain(field: Any) -> Any:
    kind = field.metadata["kafka_type"]
    if field.name in MEANT:
        return MEANT[field.name]
    known = {"string": "x", "bytes": b"x", "records": b"x", "bool": False, "uuid": uuid.UUID(int=1)}
    return known.get(kind, 0.0 if kind == "float64" else 0)


@pytest.mark.parametrize("key", [key for key in APIS if key not in FREE], ids=lambda key: key.name)
async def test_refused(secured: SecuredBroker, login: tuple[str, str], key: ApiKey) -> None:
    """The answer can be read, says no, and leaves the connection as it was."""
    async with await encrypted(secured.address, secured.ca_file) as raw:
        assert (await log_in(raw, *login)).error_code == 0
        for version in range(APIS[key].lowest, APIS[key].highest + 1):
            fields = one_of_each(load_request_schema(key, version))
            refused = errors(await raw.ask(key, version, **fields))
            if key in ANSWERED_TO_ALL or (key, version) in WITHOUT_ERROR:
                assert refused == set(), version
            else:
                assert {29, 30, 31, 53} & refused or key is ApiKey.METADATA, version
