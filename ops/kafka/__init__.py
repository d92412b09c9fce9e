"""Apache Kafka on this machine: for tests, benchmarks and for trying it out."""

from ops.kafka.cluster import Cluster, cluster
from ops.kafka.installation import Missing, missing
from ops.kafka.process import KafkaBroker

__all__ = ["Cluster", "KafkaBroker", "Missing", "cluster", "missing"]
