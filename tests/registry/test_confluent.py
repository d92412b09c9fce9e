"""Confluent's own client and serializers work against the registry as they are."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from bus.registry import Registry

ONE = '{"type": "record", "name": "R", "namespace": "de", "fields": [{"name": "a", "type": "int"}]}'
TWO = ONE.replace("}]", '}, {"name": "b", "type": ["null", "string"], "default": null}]')
BROKEN = ONE.replace('"int"', '"string"')


async def with_client(registry: Registry, work: Callable[[SchemaRegistryClient], Any]) -> Any:
    """Run the client, which blocks, beside the registry's loop."""

    def run() -> Any:
        with SchemaRegistryClient({"url": f"http://{registry.address}"}) as client:
            return work(client)

    return await asyncio.to_thread(run)


async def test_the_client(registry: Registry) -> None:
    def work(client: SchemaRegistryClient) -> None:
        one, two = Schema(ONE, "AVRO"), Schema(TWO, "AVRO")
        first = client.register_schema("t-value", one)
        second = client.register_schema("t-value", two, normalize_schemas=True)
        assert first != second
        assert client.register_schema_full_response("t-value", one).schema_id == first
        assert "t-value" in client.get_subjects()
        assert client.get_versions("t-value") == [1, 2]
        assert client.get_version("t-value", 1).schema_id == first
        assert client.get_latest_version("t-value").schema_id == second
        assert client.lookup_schema("t-value", one).version == 1
        assert client.test_compatibility("t-value", one)
        assert client.test_compatibility_all_versions("t-value", two)
        assert not client.test_compatibility("t-value", Schema(BROKEN, "AVRO"))
        assert client.get_schema(first).schema_str is not None
        assert client.get_compatibility() == "FULL_TRANSITIVE"
        client.set_compatibility("t-value", level="BACKWARD")
        assert client.get_compatibility("t-value") == "BACKWARD"
        assert client.get_subjects_by_schema_id(first) == ["t-value"]
        assert client.get_global_mode() == "READWRITE"
        assert client.get_schema_types() == ["AVRO"]
        with pytest.raises(SchemaRegistryError) as none:
            client.get_associations_by_resource_name("t", "-")
        assert none.value.http_status_code == 404

    await with_client(registry, work)


@pytest.mark.parametrize(
    ("subject", "text", "status", "code"),
    [
        pytest.param("t-value", BROKEN, 409, 40901, id="a breaking schema"),
        pytest.param("t-value", '"integer"', 422, 42201, id="no schema"),
    ],
)
async def test_the_clients_errors(
    registry: Registry, subject: str, text: str, status: int, code: int
) -> None:
    def work(client: SchemaRegistryClient) -> SchemaRegistryError:
        client.register_schema(subject, Schema(ONE, "AVRO"))
        with pytest.raises(SchemaRegistryError) as refusal:
            client.register_schema(subject, Schema(text, "AVRO"))
        return refusal.value

    error = await with_client(registry, work)
    assert (error.http_status_code, error.error_code) == (status, code)


async def test_the_serializers(registry: Registry) -> None:
    def work(client: SchemaRegistryClient) -> None:
        place = SerializationContext("t", MessageField.VALUE)
        frame = AvroSerializer(client, ONE)({"a": 1}, place)
        assert frame is not None
        assert frame[0] == 0
        assert AvroDeserializer(client)(frame, place) == {"a": 1}
        assert AvroDeserializer(client, TWO)(frame, place) == {"a": 1, "b": None}
        newer = AvroSerializer(client, TWO)({"a": 2, "b": "x"}, place)
        assert AvroDeserializer(client, ONE)(newer, place) == {"a": 2}
        assert client.get_subjects(subject_prefix="t-") == ["t-value"]

    await with_client(registry, work)


async def test_a_serializer_that_may_only_use_what_is_registered(registry: Registry) -> None:
    """As in production: contracts come first, and no client registers by itself."""

    def work(client: SchemaRegistryClient) -> None:
        client.register_schema("t-value", Schema(TWO, "AVRO"))
        place = SerializationContext("t", MessageField.VALUE)
        latest = {"auto.register.schemas": False, "use.latest.version": True}
        frame = AvroSerializer(client, None, conf=latest)({"a": 1, "b": None}, place)
        assert AvroDeserializer(client)(frame, place) == {"a": 1, "b": None}
        given = AvroSerializer(client, TWO, conf={"auto.register.schemas": False})
        assert given({"a": 1, "b": None}, place) == frame

    await with_client(registry, work)
