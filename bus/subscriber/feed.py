"""Records of a member's feed to events: with what was withheld, and under which grants."""

from bus.contracts import Contract
from bus.errors import UndecodableEvent
from bus.event import BAD_ENVELOPE, Event
from bus.kafka import Fetched
from bus.subscriber.decoding import Decoder, Elsewhere, Schemas
from bus.trust.attestation import GRANT, STATE, is_mark
from bus.trust.projection import Projection
from bus.trust.signature import WITHHELD


class FeedDecoder(Decoder):
    """Decodes the records of a member's feed of a restricted contract.

    Args:
        contract: as the registry has it.
        registry: has the schema that all feeds of the contract share.
        feed: the feed's topic.
        version: the version to read every event as; as it was written if None.

    Raises:
        NotFound: the contract has no such version.
    """

    def __init__(
        self, contract: Contract, registry: Schemas, feed: str, version: int | None = None
    ) -> None:
        super().__init__(contract, registry, version)
        self.source = feed
        self._by_id.clear()  # feeds have schemas of their own
        if version is not None:
            self._wanted = Projection(contract.versions[version - 1]).feed

    @property
    def _schemas_of(self) -> str:
        return f"feed.{self.topic}"

    def event(self, record: Fetched) -> Event:
        """Return the event that a record carries.

        Raises:
            Elsewhere: it is a mark of the router's, and no event.
            UndecodableEvent, UnlearntSchema: as for `Decoder.event`.
        """
        if not record.fault and is_mark(record.headers):
            raise Elsewhere
        event = super().event(record)
        headers: dict[str, bytes] = dict(record.headers)
        return event._replace(
            withheld=_listed(headers.get(WITHHELD, b"")),
            grants=_listed(headers.get(GRANT, b"")),
            state=_text(headers.get(STATE, b"")),
        )


def _listed(value: bytes) -> tuple[str, ...]:
    text = _text(value)
    return tuple(text.split(",")) if text else ()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise UndecodableEvent(
            "a header of the router's is no UTF-8", reason=BAD_ENVELOPE
        ) from error
