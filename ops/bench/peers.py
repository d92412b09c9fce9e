"""confluent-kafka's own Avro serializer and deserializer, set up as its documentation does."""

from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer


def serializer(registry: str, topic: str) -> Any:
    """Return a serializer that uses the registered schema of a topic."""
    client = SchemaRegistryClient({"url": registry})
    schema = client.get_latest_version(f"{topic}-value").schema.schema_str
    return AvroSerializer(client, schema, conf={"auto.register.schemas": False})


def deserializer(registry: str) -> Any:
    """Return a deserializer that reads with the schema that wrote."""
    return AvroDeserializer(SchemaRegistryClient({"url": registry}))
