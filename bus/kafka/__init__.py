"""The only importer of aiokafka: a producer, a log reader and a group consumer that lose nothing.

aiokafka's defaults lose data (acks=1, automatic commits, a silent reset of positions) and its
producer neither gives up nor recovers after a batch that was refused. Here all of that is settled
once, and its errors become ours. Nothing here knows what a record means.
"""

from bus.kafka.group import GroupConsumer, Watcher
from bus.kafka.inquiry import Inquiry
from bus.kafka.login import accepts, require_rules
from bus.kafka.pack import header, packed, sized
from bus.kafka.producer import Producer
from bus.kafka.reader import LogReader
from bus.kafka.records import LARGEST_BATCH, Fetched, Place, Record
from bus.kafka.transaction import Positions, Transactor, boot_clock

__all__ = [
    "LARGEST_BATCH",
    "Fetched",
    "GroupConsumer",
    "Inquiry",
    "LogReader",
    "Place",
    "Positions",
    "Producer",
    "Record",
    "Transactor",
    "Watcher",
    "accepts",
    "boot_clock",
    "header",
    "packed",
    "require_rules",
    "sized",
]
