"""Which right each API needs, by its number: one that is not here is not answered."""

from collections.abc import Awaitable, Callable, Mapping

from bus.broker.engine import Engine
from bus.broker.rights import cluster, groups, topics, transactions
from bus.broker.rights.call import Call, Handle
from bus.broker.security.access import Access
from bus.broker.wire import Fields, Request

Right = Callable[[Call], Awaitable[Fields]]

# By number, so that a right can stand here before its API is served.
RIGHTS: Mapping[int, Right] = {
    1: topics.fetch,
    2: topics.list_offsets,
    3: cluster.metadata,
    8: groups.offset_commit,
    9: groups.offset_fetch,
    10: cluster.find_coordinator,
    11: groups.join_group,
    12: groups.heartbeat,
    13: groups.leave_group,
    14: groups.sync_group,
    15: groups.describe_groups,
    16: groups.list_groups,
    17: cluster.free,
    18: cluster.free,
    19: topics.create_topics,
    20: topics.delete_topics,
    21: topics.delete_records,
    22: transactions.init_producer_id,
    23: topics.offset_for_leader_epoch,
    24: transactions.add_partitions_to_txn,
    25: transactions.add_offsets_to_txn,
    26: transactions.end_txn,
    28: transactions.txn_offset_commit,
    29: cluster.describe_acls,
    30: cluster.create_acls,
    31: cluster.delete_acls,
    32: cluster.describe_configs,
    33: cluster.alter_configs,
    35: cluster.describe_log_dirs,
    36: cluster.free,
    37: topics.create_partitions,
    42: groups.delete_groups,
    44: cluster.alter_configs,
    47: groups.offset_delete,
    48: cluster.describe_quotas,
    49: cluster.alter_quotas,
    50: cluster.describe_users,
    51: cluster.alter_users,
    60: cluster.free,
    61: topics.describe_producers,
    65: transactions.describe_transactions,
    66: transactions.list_transactions,
}


async def guarded(engine: Engine, request: Request, handle: Handle, access: Access) -> Fields:
    """Answer what of a request is allowed, and refuse the rest."""
    return await RIGHTS[request.key](Call(engine, request, handle, access))
