"""Which right each API needs; one that is not here is not answered. Produce has its own way."""

from collections.abc import Awaitable, Callable, Mapping

from bus.broker.engine import Engine
from bus.broker.keys import ApiKey
from bus.broker.rights import cluster, groups, topics, transactions
from bus.broker.rights.call import Call, Handle
from bus.broker.security.access import Access
from bus.broker.wire import Fields, Request

Right = Callable[[Call], Awaitable[Fields]]

RIGHTS: Mapping[ApiKey, Right] = {
    ApiKey.FETCH: topics.fetch,
    ApiKey.LIST_OFFSETS: topics.list_offsets,
    ApiKey.METADATA: cluster.metadata,
    ApiKey.OFFSET_COMMIT: groups.offset_commit,
    ApiKey.OFFSET_FETCH: groups.offset_fetch,
    ApiKey.FIND_COORDINATOR: cluster.find_coordinator,
    ApiKey.JOIN_GROUP: groups.join_group,
    ApiKey.HEARTBEAT: groups.heartbeat,
    ApiKey.LEAVE_GROUP: groups.leave_group,
    ApiKey.SYNC_GROUP: groups.sync_group,
    ApiKey.DESCRIBE_GROUPS: groups.describe_groups,
    ApiKey.LIST_GROUPS: groups.list_groups,
    ApiKey.SASL_HANDSHAKE: cluster.free,
    ApiKey.API_VERSIONS: cluster.free,
    ApiKey.CREATE_TOPICS: topics.create_topics,
    ApiKey.DELETE_TOPICS: topics.delete_topics,
    ApiKey.DELETE_RECORDS: topics.delete_records,
    ApiKey.INIT_PRODUCER_ID: transactions.init_producer_id,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: topics.offset_for_leader_epoch,
    ApiKey.ADD_PARTITIONS_TO_TXN: transactions.add_partitions_to_txn,
    ApiKey.ADD_OFFSETS_TO_TXN: transactions.add_offsets_to_txn,
    ApiKey.END_TXN: transactions.end_txn,
    ApiKey.TXN_OFFSET_COMMIT: transactions.txn_offset_commit,
    ApiKey.DESCRIBE_ACLS: cluster.describe_acls,
    ApiKey.CREATE_ACLS: cluster.create_acls,
    ApiKey.DELETE_ACLS: cluster.delete_acls,
    ApiKey.DESCRIBE_CONFIGS: cluster.describe_configs,
    ApiKey.ALTER_CONFIGS: cluster.alter_configs,
    ApiKey.DESCRIBE_LOG_DIRS: cluster.describe_log_dirs,
    ApiKey.SASL_AUTHENTICATE: cluster.free,
    ApiKey.CREATE_PARTITIONS: topics.create_partitions,
    ApiKey.DELETE_GROUPS: groups.delete_groups,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: cluster.alter_configs,
    ApiKey.OFFSET_DELETE: groups.offset_delete,
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: cluster.describe_users,
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS: cluster.alter_users,
    ApiKey.DESCRIBE_CLUSTER: cluster.free,
    ApiKey.DESCRIBE_PRODUCERS: topics.describe_producers,
    ApiKey.DESCRIBE_TRANSACTIONS: transactions.describe_transactions,
    ApiKey.LIST_TRANSACTIONS: transactions.list_transactions,
}


async def guarded(engine: Engine, request: Request, handle: Handle, access: Access) -> Fields:
    """Answer what of a request is allowed, and refuse the rest."""
    request.access = access
    return await RIGHTS[request.key](Call(engine, request, handle, access))
