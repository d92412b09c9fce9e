"""The versions of a restricted contract, as the router needs them: each with its feeds' schema."""

from bus.avro.canonical import canonical
from bus.avro.schema import parse
from bus.contracts import Contract
from bus.router.admission import Version
from bus.schemas import SchemaClient
from bus.subscriber.decoding import UnlearntSchema
from bus.trust.checking import projection


def feed_subject(topic: str) -> str:
    """Return the subject of the schema that all feeds of a contract share."""
    return f"feed.{topic}-value"


class LearntVersions:
    """Versions by the ids of their schemas.

    Args:
        contract: the contract in force.
        registry: has the schemas, and takes those of feeds.
    """

    def __init__(self, contract: Contract, registry: SchemaClient) -> None:
        self._contract, self._registry = contract, registry
        self._by_id: dict[int, Version] = {}

    async def learn_all(self) -> None:
        """Learn the versions in force.

        Raises:
            BusUnavailable: the registry cannot be reached.
            NotAuthorised: it takes no schemas of feeds from us.
        """
        for schema_id in self._contract.schema_ids:
            await self.learn(schema_id)

    async def learn(self, schema_id: int) -> None:
        """Learn a version; its feeds' schema is registered if it is not yet.

        Raises:
            NotFound: the registry has no such schema.
            BusUnavailable, NotAuthorised: as for `learn_all`.
        """
        if schema_id in self._by_id:
            return
        schema = await self._registry.schema(schema_id)
        shape = projection(canonical(parse(schema)))
        feed = await self._registry.register(feed_subject(self._contract.topic), shape.feed)
        self._by_id[schema_id] = Version(shape, feed)

    def version(self, schema_id: int) -> Version:
        """Return a version.

        Raises:
            UnlearntSchema: it has to be learnt first.
        """
        if schema_id not in self._by_id:
            raise UnlearntSchema(schema_id)
        return self._by_id[schema_id]
