"""The registry's client: what it keeps, and how it says what went wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from bus.contracts import load_all
from bus.errors import (
    BusUnavailable,
    Conflict,
    IncompatibleSchema,
    InvalidContract,
    InvalidSchema,
    NotFound,
)
from bus.schemas import SchemaClient
from tests.city import ADDRESSES, READINGS, City, city

__all__ = ["city"]

SUBJECT = f"{READINGS}-value"


async def test_contracts_come_with_the_ids_of_their_schemas(city: City) -> None:
    shipped = {contract.topic: contract for contract in load_all()}
    async with SchemaClient(city.settings.registry.url) as client:
        assert sorted(await client.contracts()) == sorted(shipped)
        contract = await client.contract(READINGS)
        assert len(contract.schema_ids) == 2
        assert contract.versions == shipped[READINGS].versions
        for schema_id, schema in zip(contract.schema_ids, contract.versions, strict=True):
            assert await client.id_of(SUBJECT, schema) == schema_id
            assert (await client.schema(schema_id))["name"] == "Reading"


async def test_subjects_and_versions(city: City) -> None:
    async with SchemaClient(city.settings.registry.url) as client:
        assert await client.subjects() == sorted(f"{one.topic}-value" for one in load_all())
        assert await client.versions(SUBJECT) == [1, 2]
        newest = await client.version(SUBJECT)
        assert (newest["version"], newest["subject"]) == (2, SUBJECT)
        assert await client.level(SUBJECT) == "FULL_TRANSITIVE"


async def test_a_schema_that_breaks_a_promise(city: City) -> None:
    async with SchemaClient(city.settings.registry.url) as client:
        contract = await client.contract(READINGS)
        newest = contract.versions[-1]
        broken = newest | {"fields": [f for f in newest["fields"] if f["name"] != "unit"]}
        assert await client.check(SUBJECT, newest) == ([], [])
        ((problem, *_), _) = await client.check(SUBJECT, broken)
        assert "unit" in problem
        with pytest.raises(IncompatibleSchema) as caught:
            await client.register(SUBJECT, broken)
        assert (caught.value.subject, caught.value.level) == (SUBJECT, "FULL_TRANSITIVE")
        assert problem in caught.value.problems


async def test_what_is_wrong_or_not_there(city: City) -> None:
    async with SchemaClient(city.settings.registry.url) as client:
        with pytest.raises(InvalidSchema):
            await client.register(SUBJECT, {"type": "nothing"})
        for call in (
            client.contract("no.such-thing.v1"),
            client.schema(999),
            client.versions("no.such-thing.v1-value"),
            client.id_of(SUBJECT, {"type": "int"}),
        ):
            with pytest.raises(NotFound):
                await call


async def test_a_schema_of_another_topic_is_not_found(city: City) -> None:
    async with SchemaClient(city.settings.registry.url) as client:
        other = (await client.contract(ADDRESSES)).schema_ids[0]
        with pytest.raises(NotFound):
            await client.schema_on(READINGS, other)
        assert (await client.schema_on(ADDRESSES, other))["name"] == "BuildingChanged"


async def test_putting_a_contract_in_force(city: City) -> None:
    async with SchemaClient(city.settings.registry.url) as client:
        contract = await client.contract(READINGS)
        assert await client.put_contract(contract) == contract
        changed = contract.to_json() | {"partitions": 5}
        with pytest.raises(Conflict, match="fixed for good"):
            await client.put_contract(type(contract).from_json(changed))
        with pytest.raises(InvalidContract, match="is not FULL_TRANSITIVE"):
            await client.put_contract(replace(contract, compatibility="NONE"))


async def test_what_was_kept_serves_while_the_registry_is_down(city: City, tmp_path: Path) -> None:
    url, cache = city.settings.registry.url, tmp_path / "kept"
    async with SchemaClient(url, cache) as client:
        contract = await client.contract(READINGS)
        await client.schema_on(READINGS, contract.schema_ids[0])
    await city.registry.stop()
    async with SchemaClient(url, cache) as client:
        assert await client.contract(READINGS) == contract
        assert await client.schema_on(READINGS, contract.schema_ids[0])
        with pytest.raises(BusUnavailable, match="the registry does not answer"):
            await client.contract(ADDRESSES)
        with pytest.raises(BusUnavailable):
            await client.schema(contract.schema_ids[1])
    async with SchemaClient("http://127.0.0.1:1", cache) as elsewhere:
        with pytest.raises(BusUnavailable, match=r"http://127\.0\.0\.1:1"):
            await elsewhere.contract(READINGS)


async def test_a_cache_that_is_damaged_or_full_is_no_obstacle(city: City, tmp_path: Path) -> None:
    url, cache = city.settings.registry.url, tmp_path / "kept"
    async with SchemaClient(url, cache) as client:
        schema_id = (await client.contract(READINGS)).schema_ids[0]
        schema = await client.schema(schema_id)
    for file in cache.rglob("*.json"):
        file.write_text("{", encoding="utf-8")
    async with SchemaClient(url, cache) as client:
        assert await client.schema(schema_id) == schema
    (tmp_path / "file").touch()
    async with SchemaClient(url, tmp_path / "file") as client:
        assert await client.schema(schema_id) == schema
