"""A client of the engine: started, used, stopped."""

from aiokafka.client import AIOKafkaClient

from bus.errors import BusUnavailable
from bus.kafka.connection import security, started
from bus.settings import KafkaSettings
from bus.startable import Startable

METADATA_AGE = 300.0
"""Seconds after which aiokafka asks by itself for what it knows of topics."""


class Client(Startable):
    """Connections on which requests are sent as they are.

    Args:
        kafka: how to reach the engine.
        client_id: what the engine calls this client in its logs.
        metadata_age: seconds after which it asks for topics and leaders anew, unasked.
    """

    def __init__(
        self, kafka: KafkaSettings, *, client_id: str, metadata_age: float = METADATA_AGE
    ) -> None:
        self._kafka, self._client_id = kafka, client_id
        self._metadata_age = metadata_age
        self._client: AIOKafkaClient | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            BusUnavailable: no broker answers.
            NotAuthenticated: the engine does not accept the credentials.
        """
        client = AIOKafkaClient(
            client_id=self._client_id,
            retry_backoff_ms=50,
            metadata_max_age_ms=int(self._metadata_age * 1000),
            **security(self._kafka),
        )
        try:
            await started(client.bootstrap, self._kafka)
        except BaseException:
            await client.close()
            raise
        self._client = client

    async def stop(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    def _use(self) -> AIOKafkaClient:
        if self._client is None:
            raise BusUnavailable(f"{self._client_id} is not started", where=self._kafka.bootstrap)
        return self._client
