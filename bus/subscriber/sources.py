"""Where the events of a contract are read, and how they are decoded there: decided in one place."""

from bus.contracts import Contract, member_feed
from bus.subscriber.decoding import Decoder, Schemas
from bus.subscriber.feed import FeedDecoder


def decoder_for(
    member: str, contract: Contract, registry: Schemas, version: int | None = None
) -> Decoder:
    """Return what decodes a contract's events for a member; its `source` is where they are read.

    Args:
        member: who reads.
        contract: as the registry has it.
        registry: is asked about schemas that the contract did not have yet.
        version: the version to read every event as; as it was written if None.

    Raises:
        NotFound: the contract has no such version.
    """
    if contract.access == "open":
        return Decoder(contract, registry, version)
    return FeedDecoder(contract, registry, member_feed(member, contract.topic), version)
