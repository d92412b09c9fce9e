"""The embedded broker: one node, the Kafka protocol, storage in SQLite."""

from bus.broker.broker import Broker
from bus.broker.faults import Delay, Fail, Fault, Faults
from bus.broker.keys import ApiKey

__all__ = ["ApiKey", "Broker", "Delay", "Fail", "Fault", "Faults"]
