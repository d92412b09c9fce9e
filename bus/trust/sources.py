"""The schema that a record was signed under: the contract's own, on a feed too."""

from bus.avro.canonical import canonical
from bus.avro.schema import parse
from bus.contracts import contract_topic
from bus.errors import NotFound
from bus.event import unframe
from bus.kafka import Fetched
from bus.schemas import SchemaClient
from bus.trust.checking import projection
from bus.trust.projection import FINGERPRINT


async def schema_of(schemas: SchemaClient, record: Fetched) -> str | None:
    """Return the canonical text of the schema that a record was signed under.

    A feed's schema follows from one of the contract's, and says from which.

    Args:
        schemas: the registry's client.
        record: from a shared topic, or from a feed.

    Returns:
        The text; None for a tombstone.

    Raises:
        NotFound: the registry does not have it.
        UndecodableEvent: the value has no frame.
        BusUnavailable: the registry cannot be reached.
    """
    if record.value is None:
        return None
    found = parse(await schemas.schema(unframe(record.value)[0]))
    wanted = found.source.get(FINGERPRINT) if isinstance(found.source, dict) else None
    if wanted is None:
        return canonical(found)
    subject = f"{contract_topic(record.topic)}-value"
    for version in await schemas.versions(subject):
        made = projection(str((await schemas.version(subject, version))["schema"]))
        if made.fingerprint.hex() == wanted:
            return made.text
    raise NotFound(f"no version of {subject} has the fingerprint {wanted}")
