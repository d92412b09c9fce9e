"""Disclosures: who was told what of whom, and why that was allowed.

The router writes them to a topic of their own, in the transaction that tells. A store beside the
node's data follows it and answers questions; digests let owner and recipient compare their records.
"""

from bus.disclosures.batch import read, records
from bus.disclosures.disclosure import Disclosure
from bus.disclosures.topic import KEPT_DAYS, PARTITIONS, TOPIC, spec

__all__ = ["KEPT_DAYS", "PARTITIONS", "TOPIC", "Disclosure", "read", "records", "spec"]
