"""The schema that a record was signed under, from a real registry."""

import pytest

from bus.avro.canonical import canonical
from bus.avro.schema import parse
from bus.contracts import load_all
from bus.errors import NotFound
from bus.event import frame
from bus.kafka import Fetched
from bus.schemas import SchemaClient
from bus.trust.projection import Projection
from bus.trust.sources import schema_of
from tests.city import City, city

__all__ = ["city"]

pytestmark = pytest.mark.slow

TOPIC = "resident.address-changed.v1"
FEED = f"feed.de.agency.statistik.{TOPIC}"
SCHEMA = next(each for each in load_all() if each.topic == TOPIC).versions[-1]


def record(topic: str, schema_id: int | None) -> Fetched:
    value = None if schema_id is None else frame(schema_id, b"")
    return Fetched(topic, 0, 0, 0, b"k", value, [])


async def test_it_is_the_contracts_on_shared_topics_and_on_feeds(city: City) -> None:
    text = canonical(parse(SCHEMA))
    async with SchemaClient.of(city.settings) as schemas:
        shared = (await schemas.contract(TOPIC)).schema_ids[-1]
        feed = await schemas.register(f"{FEED}-value", Projection(SCHEMA).feed)
        assert shared != feed
        assert (await schemas.version(f"{TOPIC}-value"))["schema"] == text
        assert await schema_of(schemas, record(TOPIC, shared)) == text
        assert await schema_of(schemas, record(FEED, feed)) == text
        assert await schema_of(schemas, record(FEED, None)) is None


async def test_a_feed_of_a_schema_that_the_registry_never_had(city: City) -> None:
    strange = Projection(SCHEMA | {"doc": "Another one."}).feed
    async with SchemaClient.of(city.settings) as schemas:
        feed = await schemas.register(f"{FEED}-value", strange)
        with pytest.raises(NotFound, match=strange["stadtbus.source"]):
            await schema_of(schemas, record(FEED, feed))
