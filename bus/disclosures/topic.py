"""The topic of disclosures: how it is called and made. Pure.

It names persons as their registers do, by pseudonyms, so it is the bus's own: the router writes it,
a node with the role `portal` reads it, and nobody else has a right to it.
"""

from bus.admin import TopicSpec
from bus.letters import LARGEST_LETTER

TOPIC = "_stadtbus.disclosures"

PARTITIONS = 6
"""Fixed: those of one source partition stay in one partition, and so in order."""

KEPT_DAYS = 366
"""Days for which a disclosure is kept, here and in the store: the twelve months for which the
registers' log of retrievals is kept at least (§ 40 (5) BMG), and no longer.
"""

KEPT_MS = KEPT_DAYS * 86_400_000


def spec() -> TopicSpec:
    """Return the topic as it is made.

    It takes batches as large as the router writes them for any other topic.
    """
    return TopicSpec(
        name=TOPIC,
        partitions=PARTITIONS,
        configs={
            "cleanup.policy": "delete",
            "retention.ms": str(KEPT_MS),
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(LARGEST_LETTER),
        },
    )
