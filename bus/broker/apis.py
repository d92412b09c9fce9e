"""The APIs that are served, in which versions, and by whom.

What is not here is not advertised. Clients' needs are the measure: Fetch stops before topic ids,
Produce before the transactions' second version.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from kio.schema.errors import ErrorCode

from bus.broker.api import (
    cluster,
    configs,
    fetch,
    groups,
    offsets,
    positions,
    producers,
    records,
    rules,
    sasl,
    topics,
    transactions,
    users,
)
from bus.broker.engine import Engine
from bus.broker.keys import ApiKey
from bus.broker.wire import Fields, Request

Handle = Callable[[Engine, Request], Awaitable[Fields]]


class Api(NamedTuple):
    """One API: its versions, and its handler where it is answered one at a time."""

    lowest: int
    highest: int
    handle: Handle


# What software may be called: ApiVersionsRequest of Apache Kafka (KIP-511).
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?")
_NAMED_SINCE = 3


async def api_versions(_: Engine, request: Request) -> Fields:
    """Say what is served."""
    if request.version >= _NAMED_SINCE:
        names = (request.body.client_software_name, request.body.client_software_version)
        if not all(map(_SOFTWARE.fullmatch, names)):
            return {"error_code": ErrorCode.invalid_request, "api_keys": ()}
    return versions_answer(ErrorCode.none)


def _alone(handle: Handle) -> Handle:
    """Let requests that change topics take turns: what one found out holds until it is done."""

    async def turn(engine: Engine, request: Request) -> Fields:
        async with engine.changing:
            return await handle(engine, request)

    return turn


async def _nothing(_: Engine, request: Request) -> Fields:
    """Take Produce's place in the table: it is answered in batches, by `api.produce`."""
    raise AssertionError(f"{request.key.name} is not answered from the table")


APIS: dict[ApiKey, Api] = {
    ApiKey.PRODUCE: Api(3, 11, _nothing),
    ApiKey.FETCH: Api(4, 12, fetch.fetch),
    ApiKey.LIST_OFFSETS: Api(1, 8, offsets.list_offsets),
    ApiKey.METADATA: Api(0, 12, cluster.metadata),
    ApiKey.OFFSET_COMMIT: Api(2, 9, positions.offset_commit),
    ApiKey.OFFSET_FETCH: Api(1, 9, positions.offset_fetch),
    ApiKey.FIND_COORDINATOR: Api(0, 6, cluster.find_coordinator),
    ApiKey.JOIN_GROUP: Api(0, 9, groups.join_group),
    ApiKey.HEARTBEAT: Api(0, 4, groups.heartbeat),
    ApiKey.LEAVE_GROUP: Api(0, 5, groups.leave_group),
    ApiKey.SYNC_GROUP: Api(0, 5, groups.sync_group),
    ApiKey.DESCRIBE_GROUPS: Api(0, 5, groups.describe_groups),
    ApiKey.LIST_GROUPS: Api(0, 5, groups.list_groups),
    ApiKey.SASL_HANDSHAKE: Api(0, 1, sasl.sasl_handshake),
    ApiKey.API_VERSIONS: Api(0, 4, api_versions),
    ApiKey.CREATE_TOPICS: Api(2, 7, _alone(topics.create_topics)),
    ApiKey.DELETE_TOPICS: Api(1, 6, _alone(topics.delete_topics)),
    ApiKey.DELETE_RECORDS: Api(0, 2, records.delete_records),
    ApiKey.INIT_PRODUCER_ID: Api(0, 5, producers.init_producer_id),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: Api(2, 4, offsets.offset_for_leader_epoch),
    ApiKey.ADD_PARTITIONS_TO_TXN: Api(0, 3, transactions.add_partitions_to_txn),
    ApiKey.ADD_OFFSETS_TO_TXN: Api(0, 4, transactions.add_offsets_to_txn),
    ApiKey.END_TXN: Api(0, 4, transactions.end_txn),
    ApiKey.TXN_OFFSET_COMMIT: Api(0, 4, transactions.txn_offset_commit),
    ApiKey.DESCRIBE_ACLS: Api(1, 3, rules.describe_acls),
    ApiKey.CREATE_ACLS: Api(1, 3, rules.create_acls),
    ApiKey.DELETE_ACLS: Api(1, 3, rules.delete_acls),
    ApiKey.DESCRIBE_CONFIGS: Api(1, 4, configs.describe_configs),
    ApiKey.ALTER_CONFIGS: Api(0, 2, _alone(configs.alter_configs)),
    ApiKey.DESCRIBE_LOG_DIRS: Api(1, 4, cluster.describe_log_dirs),
    ApiKey.SASL_AUTHENTICATE: Api(0, 2, sasl.sasl_authenticate),
    ApiKey.CREATE_PARTITIONS: Api(0, 3, _alone(topics.create_partitions)),
    ApiKey.DELETE_GROUPS: Api(0, 2, groups.delete_groups),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: Api(0, 1, _alone(configs.incremental_alter_configs)),
    ApiKey.OFFSET_DELETE: Api(0, 0, positions.offset_delete),
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: Api(0, 0, users.describe_user_scram_credentials),
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS: Api(0, 0, _alone(users.alter_user_scram_credentials)),
    ApiKey.DESCRIBE_CLUSTER: Api(0, 1, cluster.describe_cluster),
    ApiKey.DESCRIBE_PRODUCERS: Api(0, 0, producers.describe_producers),
    ApiKey.DESCRIBE_TRANSACTIONS: Api(0, 0, transactions.describe_transactions),
    ApiKey.LIST_TRANSACTIONS: Api(0, 1, transactions.list_transactions),
}

# librdkafka before 2.1 takes a minimum above 0 for a broker without record batches and silently
# stops compressing (KAFKA-18659); the versions 0 to 2 are not served all the same.
_ADVERTISED_LOWEST = {ApiKey.PRODUCE: 0}


def versions_answer(error: ErrorCode) -> Fields:
    """Return the table of APIs as ApiVersions answers it."""
    served = [
        {
            "api_key": key,
            "min_version": _ADVERTISED_LOWEST.get(key, api.lowest),
            "max_version": api.highest,
        }
        for key, api in APIS.items()
    ]
    return {"error_code": error, "api_keys": served}
