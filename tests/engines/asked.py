"""Every API that clients may ask, as a request, with the right that it needs."""

from confluent_kafka.admin import AclOperation as Op

from tests.broker.raw import batch
from tests.engines.rights import (
    GROUP,
    NEW_TOPIC,
    TOPIC,
    TXN,
    Asked,
    group,
    topic,
    transaction,
    whole_cluster,
)

_PART = {"partition_index": 0}
_OF = {"name": TOPIC, "partitions": [_PART]}
_RECORDS = {"name": TOPIC, "partition_data": [{"index": 0, "records": batch(b"a")}]}
_POSITION = {"name": TOPIC, "partitions": [_PART | {"committed_offset": 1}]}
_STATE = [{"partitions": [{"partition": 0}]}]
_RESOURCE = {"resource_type": 2, "resource_name": TOPIC}

WITHOUT = {
    16: "lists the groups that one may see",
    17: "is how one logs in",
    18: "is for those who have not logged in yet",
    36: "is how one logs in",
    60: "tells where the brokers are, as every client has to know",
    66: "lists the transactions that one may see",
}
"""APIs that need no right, and why."""

TOKENS = {
    38: ("make a token", 3),
    39: ("renew a token", 2),
    40: ("end a token", 2),
    41: ("describe tokens", 3),
}
"""APIs of tokens, which are switched off: what each does, and the version to ask it in."""

UNSERVED = {
    27: "brokers tell each other of the ends of transactions by it; there is one",
    34: "there is one folder for all that is stored",
    38: "there are no delegation tokens",
    39: "there are no delegation tokens",
    40: "there are no delegation tokens",
    41: "there are no delegation tokens",
    43: "one broker leads everything",
    45: "there is no other broker to move replicas to",
    46: "there is no other broker to move replicas to",
    48: "quotas are settings of the node",
    49: "quotas are settings of the node",
    55: "there is no quorum",
    57: "there are no features to switch",
    64: "there is no other broker",
    68: "groups are those of the classic protocol",
    69: "groups are those of the classic protocol",
    74: "only topics and the broker have configs",
    75: "Metadata tells all that there is to tell of partitions",
    76: "there are no share groups",
    77: "there are no share groups",
    78: "there are no share groups",
    79: "there are no share groups",
    80: "there is no quorum",
    81: "there is no quorum",
    83: "there are no share groups",
    84: "there are no share groups",
    85: "there are no share groups",
    86: "there are no share groups",
    87: "there are no share groups",
    88: "there are no streams groups",
    89: "there are no streams groups",
    90: "there are no share groups",
    91: "there are no share groups",
    92: "there are no share groups",
}
"""APIs that the embedded broker does not serve, and why."""

ASKED: tuple[Asked, ...] = (
    topic("produce", 0, 9, Op.WRITE, acks=-1, timeout=1000, topic_data=[_RECORDS]),
    topic(
        "fetch",
        1,
        11,
        Op.READ,
        replica_id=-1,
        max_bytes=2**20,
        session_epoch=-1,
        topics=[
            {
                "topic": TOPIC,
                "partitions": [{"partition_max_bytes": 2**20, "current_leader_epoch": -1}],
            }
        ],
    ),
    topic(
        "offsets",
        2,
        7,
        Op.DESCRIBE,
        replica_id=-1,
        topics=[
            {"name": TOPIC, "partitions": [_PART | {"timestamp": -1, "current_leader_epoch": -1}]}
        ],
    ),
    topic("metadata", 3, 9, Op.DESCRIBE, topics=[{"name": TOPIC}]),
    topic(
        "make a topic",
        19,
        5,
        Op.CREATE,
        timeout=1000,
        validate_only=True,
        topics=[{"name": TOPIC, "num_partitions": 1, "replication_factor": 1}],
    ),
    topic(
        "delete a topic", 20, 5, Op.DELETE, name=NEW_TOPIC, topic_names=(NEW_TOPIC,), timeout=1000
    ),
    topic("delete records", 21, 2, Op.DELETE, timeout=1000, topics=[_OF]),
    topic(
        "offsets by leader's epoch",
        23,
        4,
        Op.DESCRIBE,
        replica_id=-1,
        topics=[{"topic": TOPIC, "partitions": [{"partition": 0, "current_leader_epoch": -1}]}],
    ),
    topic("describe a topic's configs", 32, 4, Op.DESCRIBE_CONFIGS, resources=[_RESOURCE]),
    topic(
        "alter a topic's configs",
        33,
        2,
        Op.ALTER_CONFIGS,
        validate_only=True,
        resources=[_RESOURCE],
    ),
    topic(
        "add partitions",
        37,
        3,
        Op.ALTER,
        timeout=1000,
        validate_only=True,
        topics=[{"name": TOPIC, "count": 2}],
    ),
    topic(
        "alter configs one by one",
        44,
        1,
        Op.ALTER_CONFIGS,
        validate_only=True,
        resources=[_RESOURCE],
    ),
    topic(
        "describe producers", 61, 0, Op.READ, topics=[{"name": TOPIC, "partition_indexes": (0,)}]
    ),
    topic(
        "describe partitions",
        75,
        0,
        Op.DESCRIBE,
        topics=[{"name": TOPIC}],
        response_partition_limit=10,
    ),
    group("commit positions", 8, 8, Op.READ, generation_id_or_member_epoch=-1, topics=[_POSITION]),
    group("fetch positions", 9, 7, Op.DESCRIBE),
    group("find a group's coordinator", 10, 4, Op.DESCRIBE, coordinator_keys=(GROUP,)),
    group(
        "join",
        11,
        9,
        Op.READ,
        session_timeout=10_000,
        protocol_type="consumer",
        protocols=[{"name": "range"}],
    ),
    group("heartbeat", 12, 4, Op.READ, member_id="who"),
    group("leave", 13, 5, Op.READ, members=[{"member_id": "who"}]),
    group("sync", 14, 3, Op.READ, member_id="who"),
    group("describe a group", 15, 5, Op.DESCRIBE, groups=(GROUP,)),
    group("delete a group", 42, 2, Op.DELETE, groups_names=(GROUP,)),
    group("delete positions", 47, 0, Op.DELETE, topics=[_OF]),
    group("heartbeat of the new protocol", 68, 1, None, member_id="who"),
    group("describe a group of the new protocol", 69, 1, None, group_ids=(GROUP,)),
    group("heartbeat of a share group", 76, 1, None, member_id="who"),
    group("describe a share group", 77, 1, None, group_ids=(GROUP,)),
    group("fetch in a share group", 78, 1, None, member_id="AAAAAAAAAAAAAAAAAAAAAQ"),
    group("acknowledge in a share group", 79, 1, None, member_id="AAAAAAAAAAAAAAAAAAAAAQ"),
    group("heartbeat of a streams group", 88, 0, None, member_id="who"),
    group("describe a streams group", 89, 0, None, group_ids=(GROUP,)),
    group("describe a share group's offsets", 90, 0, None, groups=[{"group_id": GROUP}]),
    group("alter a share group's offsets", 91, 0, None),
    group("delete a share group's offsets", 92, 0, None),
    transaction(
        "find a transaction's coordinator", 10, 4, Op.DESCRIBE, key_type=1, coordinator_keys=(TXN,)
    ),
    # With a timeout that is refused once the right is there: of a transactional id that has begun
    # nothing, Kafka tells a start at -1, which kio cannot read.
    transaction("begin", 22, 4, Op.WRITE, transaction_timeout=0, producer_id=-1, producer_epoch=-1),
    transaction(
        "add partitions to a transaction",
        24,
        3,
        Op.WRITE,
        v3_and_below_transactional_id=TXN,
        v3_and_below_topics=[{"name": TOPIC, "partitions": (0,)}],
    ),
    transaction("add positions to a transaction", 25, 3, Op.WRITE, group_id=GROUP),
    transaction("end a transaction", 26, 3, Op.WRITE),
    transaction(
        "commit positions in a transaction", 28, 3, None, group_id=GROUP, topics=[_POSITION]
    ),
    transaction("describe a transaction", 65, 0, Op.DESCRIBE, transactional_ids=(TXN,)),
    whole_cluster(
        "take a producer's id",
        22,
        4,
        None,
        transaction_timeout=1000,
        producer_id=-1,
        producer_epoch=-1,
    ),
    whole_cluster(
        "write the ends of transactions",
        27,
        1,
        None,
        markers=[{"topics": [{"name": TOPIC, "partition_indexes": (0,)}]}],
    ),
    whole_cluster(
        "describe rules",
        29,
        3,
        Op.DESCRIBE,
        resource_type_filter=1,
        pattern_type_filter=1,
        operation=1,
        permission_type=1,
    ),
    whole_cluster(
        "make rules",
        30,
        3,
        Op.ALTER,
        creations=[
            {
                "resource_type": 2,
                "resource_name": TOPIC,
                "resource_pattern_type": 3,
                "principal": "User:x",
                "host": "*",
                "operation": 3,
                "permission_type": 3,
            }
        ],
    ),
    whole_cluster(
        "delete rules",
        31,
        3,
        Op.ALTER,
        filters=[
            {
                "resource_type_filter": 2,
                "resource_name_filter": "none",
                "pattern_type_filter": 3,
                "operation": 3,
                "permission_type": 3,
            }
        ],
    ),
    whole_cluster(
        "describe a broker's configs",
        32,
        4,
        Op.DESCRIBE_CONFIGS,
        resources=[{"resource_type": 4, "resource_name": "1"}],
    ),
    whole_cluster(
        "move replicas between disks",
        34,
        2,
        Op.ALTER,
        dirs=[{"path": "/none", "topics": [{"name": TOPIC, "partitions": (0,)}]}],
    ),
    whole_cluster("describe disks", 35, 4, Op.DESCRIBE),
    whole_cluster(
        "elect leaders",
        43,
        2,
        Op.ALTER,
        topic_partitions=[{"topic": TOPIC, "partitions": (0,)}],
        timeout=1000,
    ),
    whole_cluster("move replicas", 45, 0, Op.ALTER, timeout=1000, topics=[]),
    whole_cluster("list moves of replicas", 46, 0, Op.DESCRIBE, timeout=1000, topics=[]),
    whole_cluster("describe quotas", 48, 1, Op.DESCRIBE_CONFIGS),
    whole_cluster(
        "alter quotas",
        49,
        1,
        Op.ALTER_CONFIGS,
        validate_only=True,
        entries=[
            {
                "entity": [{"entity_type": "user", "entity_name": "x"}],
                "ops": [{"key": "producer_byte_rate", "value": 1e6}],
            }
        ],
    ),
    whole_cluster("describe users", 50, 0, Op.DESCRIBE, users=[{"name": "none"}]),
    whole_cluster("alter users", 51, 0, Op.ALTER, deletions=[{"name": "none", "mechanism": 2}]),
    whole_cluster("change features", 57, 1, None, timeout=1000, validate_only=True),
    whole_cluster(
        "describe the quorum",
        55,
        2,
        Op.DESCRIBE,
        topics=[{"topic_name": "__cluster_metadata", "partitions": [_PART]}],
    ),
    whole_cluster("unregister a broker", 64, 0, None, broker_id=99),
    whole_cluster("list resources with configs", 74, 1, Op.DESCRIBE_CONFIGS),
    whole_cluster("add a voter", 80, 1, None),
    whole_cluster("remove a voter", 81, 0, None),
    whole_cluster("make a share group's state", 83, 0, None, group_id=GROUP, topics=_STATE),
    whole_cluster("read a share group's state", 84, 0, None, group_id=GROUP, topics=_STATE),
    whole_cluster("write a share group's state", 85, 1, None, group_id=GROUP, topics=_STATE),
    whole_cluster("delete a share group's state", 86, 0, None, group_id=GROUP, topics=_STATE),
    whole_cluster(
        "read a share group's state in short", 87, 1, None, group_id=GROUP, topics=_STATE
    ),
)
