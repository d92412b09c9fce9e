"""Where the events of a contract are read, decided in one place."""

from bus.contracts import Contract
from bus.errors import NotAuthorised


def source_of(contract: Contract) -> str:
    """Return the topic that subscribers of a contract read.

    Raises:
        NotAuthorised: the contract is restricted: its events reach nobody without a grant.
    """
    if contract.access != "open":
        raise NotAuthorised(
            "the contract is restricted, and there is no feed for this subscriber",
            where=contract.topic,
            remedy="ask its owner for a grant",
        )
    return contract.topic
