"""Transactions: what is committed, what is aborted, and who may still write."""

import uuid
from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import Raw, batch, fetch_fields
from tests.engine import Engine
from tests.engines.deviations import EMBEDDED, differs
from tests.engines.party import Party
from tests.engines.transactor import (
    COMMITTED,
    NONE,
    UNCOMMITTED,
    Transactor,
    Txn,
    batches,
    read,
    settled,
    stable,
    transactional,
)
from tests.waiting import until

INVALID = ErrorCode.invalid_txn_state
FENCED = ErrorCode.producer_fenced
LONGEST = 900_000  # milliseconds
WRITE_MARKS = 27  # the number of an API


async def test_commit(raw: Raw, made: str, producer: Transactor) -> None:
    """What is committed is read by all, together; until then only by those who ask for it."""
    await producer.send(made, b"a", b"b")
    await producer.send(made, b"c", partition=1)
    assert await read(raw, made, UNCOMMITTED) == [b"a", b"b"]
    assert await read(raw, made, COMMITTED) == []
    assert await producer.end(commit=True) is NONE
    for partition, values in enumerate([[b"a", b"b"], [b"c"]]):
        await settled(raw, made, partition)
        assert await read(raw, made, COMMITTED, partition=partition) == values


async def test_abort(raw: Raw, made: str, producer: Transactor) -> None:
    """What is aborted stays in the log, and readers of committed records are told to skip it."""
    await producer.send(made, b"kept")
    await producer.end(commit=True)
    await settled(raw, made)
    first = await producer.send(made, b"dropped")
    assert await producer.end(commit=False) is NONE
    await settled(raw, made)
    assert await read(raw, made, COMMITTED) == [b"kept"]
    assert await read(raw, made, UNCOMMITTED) == [b"kept", b"dropped"]
    fields = fetch_fields(made, first) | {"isolation_level": COMMITTED}
    answer = (await raw.ask(ApiKey.FETCH, 11, **fields)).responses[0].partitions[0]
    told = [(one.producer_id, one.first_offset) for one in answer.aborted_transactions]
    assert told == [(producer.id, first)]


async def test_the_mark(raw: Raw, made: str, producer: Transactor) -> None:
    """The end of a transaction takes an offset of its own in each partition that it wrote to."""
    await producer.send(made, b"a")
    await producer.end(commit=True)
    await settled(raw, made)
    assert await stable(raw, made) == (2, 2)
    mark = batches((await raw.fetch(made, 1)).records)[-1]
    assert (mark.first, mark.producer, mark.attributes) == (1, producer.id, 0x30)
    assert await stable(raw, made, 1) == (0, 0)


@pytest.mark.parametrize("commit", [True, False])
async def test_the_mark_has_the_time_of_appending(
    raw: Raw, made: str, producer: Transactor, commit: bool
) -> None:
    """In a topic with LogAppendTime as it is when the transaction ends."""
    await producer.send(made, b"a")
    await set_config(raw, made, "message.timestamp.type", "LogAppendTime")
    await producer.end(commit=commit)
    await settled(raw, made)
    mark = batches((await raw.fetch(made, 1)).records)[-1]
    assert (mark.first, mark.attributes) == (1, 0x38)
    await set_config(raw, made, "message.timestamp.type", "CreateTime")
    await producer.send(made, b"b")
    await producer.end(commit=commit)
    await settled(raw, made)
    mark = batches((await raw.fetch(made, 3)).records)[-1]
    assert (mark.first, mark.attributes) == (3, 0x30)


async def set_config(raw: Raw, topic: str, name: str, value: str) -> None:
    """Set a config of a topic, and wait until it counts."""
    config = {"name": name, "config_operation": 0, "value": value}
    resource = {"resource_type": 2, "resource_name": topic, "configs": [config]}
    answer = await raw.ask(
        ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, resources=[resource], validate_only=False
    )
    assert answer.responses[0].error_code is NONE

    async def counts() -> bool:
        wanted = {"resource_type": 2, "resource_name": topic, "configuration_keys": [name]}
        told = await raw.ask(ApiKey.DESCRIBE_CONFIGS, 4, resources=[wanted])
        return bool(told.results[0].configs[0].value == value)

    await until(counts)


async def test_the_last_stable_offset(raw: Raw, made: str, producer: Transactor) -> None:
    """An open transaction holds back what is behind it, from readers of committed records."""
    await raw.produce(made, batch(b"before"))
    await producer.send(made, b"open")
    await raw.produce(made, batch(b"behind"))
    assert await stable(raw, made) == (1, 3)
    fields = fetch_fields(made, 0) | {"isolation_level": COMMITTED}
    answer = (await raw.ask(ApiKey.FETCH, 11, **fields)).responses[0].partitions[0]
    assert (answer.last_stable_offset, answer.high_watermark) == (1, 3)
    assert await read(raw, made, COMMITTED) == [b"before"]
    assert await read(raw, made, UNCOMMITTED) == [b"before", b"open", b"behind"]
    await producer.end(commit=True)
    await settled(raw, made)
    assert await read(raw, made, COMMITTED) == [b"before", b"open", b"behind"]


async def test_two_at_a_time(raw: Raw, made: str, producer: Transactor, address: Address) -> None:
    """Transactions that overlap in a partition end each by itself; the oldest open one counts."""
    async with Transactor.at(address) as other:
        await other.begin()
        await producer.send(made, b"first")
        await other.send(made, b"second")
        assert await other.end(commit=True) is NONE

        async def marked() -> bool:
            return await stable(raw, made) == (0, 3)

        await until(marked)
        assert await read(raw, made, COMMITTED) == []
        await producer.end(commit=False)
        await settled(raw, made)
        assert await read(raw, made, COMMITTED) == [b"second"]


async def test_one_after_the_other(raw: Raw, made: str, producer: Transactor) -> None:
    """A producer's transactions follow each other, committed or not."""
    for number in range(4):
        await producer.send(made, b"%d" % number)
        assert await producer.end(commit=number % 2 == 0) is NONE
    await settled(raw, made)
    assert await read(raw, made, COMMITTED) == [b"0", b"2"]


async def test_a_repeat(raw: Raw, made: str, producer: Transactor) -> None:
    """A batch of a transaction that is sent again is stored once."""
    await producer.send(made, b"once")
    producer._sequences.clear()
    assert (await producer.write(made, b"once")).base_offset == 0
    await producer.end(commit=True)
    await settled(raw, made)
    assert await read(raw, made, COMMITTED) == [b"once"]


async def test_partitions_are_added_first(raw: Raw, made: str, producer: Transactor) -> None:
    """Records for a partition that was not added to the transaction are refused."""
    assert (await producer.write(made, b"early")).error_code is INVALID
    await producer.send(made, b"a")
    assert (await producer.write(made, b"b", partition=1)).error_code is INVALID


async def test_batches_of_nobody(raw: Raw, made: str, producer: Transactor) -> None:
    """A transaction's batch in a request without a transactional id is refused."""
    told = await raw.produce(made, transactional(b"a", producer=(producer.id, producer.epoch, 0)))
    assert told.error_code is ErrorCode.transactional_id_authorization_failed


async def test_nothing_to_end(producer: Transactor) -> None:
    """Without a transaction there is nothing to commit or to abort."""
    assert await producer.end(commit=True) is INVALID
    assert await producer.end(commit=False) is INVALID


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
async def test_ending_twice(raw: Raw, made: str, producer: Transactor, commit: bool) -> None:
    """Whoever did not get the answer may end a transaction again the same way, and no other."""
    await producer.send(made, b"a")
    assert await producer.end(commit=commit) is NONE
    assert await producer.end(commit=commit) is NONE
    assert await producer.end(commit=not commit) is INVALID


async def test_unknown_partitions(made: str, producer: Transactor) -> None:
    """Partitions are added all or none; what exists is not attempted beside what does not."""
    wanted = [{"name": name, "partitions": (0,)} for name in (made, "none")]
    answer = await producer.ask(
        Txn.ADD_PARTITIONS,
        3,
        v3_and_below_transactional_id=producer.name,
        v3_and_below_producer_id=producer.id,
        v3_and_below_producer_epoch=producer.epoch,
        v3_and_below_topics=wanted,
    )
    told = {
        topic.name: topic.results_by_partition[0].partition_error_code
        for topic in answer.results_by_topic_v3_and_below
    }
    assert told == {
        made: ErrorCode.operation_not_attempted,
        "none": ErrorCode.unknown_topic_or_partition,
    }


async def test_another_id(made: str, producer: Transactor) -> None:
    """A producer's id that does not belong to the transactional id is refused."""
    producer.id += 1_000_000
    refused = ErrorCode.invalid_producer_id_mapping
    assert await producer.add(made) is refused
    assert await producer.add_offsets("g") is refused
    assert await producer.end(commit=True) is refused


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        pytest.param(-1, ErrorCode.invalid_transaction_timeout, id="negative"),
        pytest.param(0, ErrorCode.invalid_transaction_timeout, id="none"),
        pytest.param(1, NONE, id="the shortest"),
        pytest.param(LONGEST, NONE, id="the longest"),
        pytest.param(LONGEST + 1, ErrorCode.invalid_transaction_timeout, id="too long"),
    ],
)
async def test_timeouts(address: Address, timeout: int, error: ErrorCode) -> None:
    """A transaction may take up to 15 minutes; other timeouts are refused."""
    async with Transactor.at(address) as one:
        assert (await one.ask_to_begin(timeout)).error_code is error


async def test_an_empty_id(address: Address) -> None:
    """A transactional id has at least one character."""
    async with Transactor.at(address) as one:
        answer = await one.ask_to_begin(transactional_id="")
        assert answer.error_code is ErrorCode.invalid_request


@differs("aborts what is open and answers in one go, so nobody has to ask a second time")
async def test_beginning_while_a_transaction_is_open(
    made: str, producer: Transactor, address: Address, engine: Engine
) -> None:
    """Who begins while a transaction is open is told to ask again, while that is aborted."""
    await producer.send(made, b"a")
    async with Transactor.at(address, producer.name) as later:
        new = {"transaction_timeout": LONGEST, "producer_id": -1, "producer_epoch": -1}
        answer = await later.ask(ApiKey.INIT_PRODUCER_ID, 4, **new)
        if engine.name == EMBEDDED:
            assert (answer.error_code, answer.producer_id) == (NONE, producer.id)
        else:
            assert answer.error_code is ErrorCode.concurrent_transactions


class TestFencing:
    """Of the producers with one transactional id only the latest may write."""

    async def test_the_epoch(self, address: Address, producer: Transactor) -> None:
        """Who begins again with the same transactional id keeps the id and gets a higher epoch."""
        async with Transactor.at(address, producer.name) as later:
            await later.begin()
            assert later.id == producer.id
            assert later.epoch > producer.epoch

    async def test_the_one_before(
        self, raw: Raw, made: str, address: Address, producer: Transactor
    ) -> None:
        """The one before is refused, whatever it asks, and its open transaction is aborted."""
        await producer.send(made, b"zombie")
        async with Transactor.at(address, producer.name) as later:
            await later.begin()
            old = ErrorCode.invalid_producer_epoch
            assert await producer.add(made) is FENCED
            assert (await producer.write(made, b"more")).error_code is old
            assert await producer.add_offsets("g") is FENCED
            assert await producer.end(commit=True) is FENCED
            await later.send(made, b"new")
            assert await later.end(commit=True) is NONE
        await settled(raw, made)
        assert await read(raw, made, COMMITTED) == [b"new"]

    async def test_it_may_not_begin_again(self, address: Address, producer: Transactor) -> None:
        """The one before cannot renew its epoch; the latest can (KIP-360)."""
        async with Transactor.at(address, producer.name) as later:
            await later.begin()
            again = {"producer_id": producer.id, "producer_epoch": producer.epoch}
            assert (await producer.ask_to_begin(**again)).error_code is FENCED
            again = {"producer_id": later.id, "producer_epoch": later.epoch}
            answer = await later.ask_to_begin(**again)
            assert (answer.error_code, answer.producer_id) == (NONE, later.id)
            assert answer.producer_epoch > later.epoch

    @pytest.mark.slow
    async def test_a_timeout(self, raw: Raw, made: str, address: Address) -> None:
        """A transaction that is left open for its timeout is aborted, and its producer fenced."""
        async with Transactor.at(address) as one:
            await one.begin(timeout=500)
            await one.send(made, b"open")
            assert await stable(raw, made) == (0, 1)
            await settled(raw, made)
            assert await read(raw, made, COMMITTED) == []
            assert await read(raw, made, UNCOMMITTED) == [b"open"]
            assert await one.end(commit=True) is FENCED
            again = await one.ask_to_begin(producer_id=one.id, producer_epoch=one.epoch)
            assert again.error_code is NONE


class TestPositions:
    """Groups' positions as a part of a transaction."""

    async def test_commit(self, party: Party, made: str, producer: Transactor) -> None:
        """A position is part of a transaction: there once it is committed, and not before."""
        assert await producer.add_offsets(party.group) is NONE
        assert await producer.commit_offset(party.group, made, 7) is NONE
        assert (await party.positions(made))[made, 0] == (-1, "")
        assert await producer.end(commit=True) is NONE

        async def there() -> bool:
            return (await party.positions(made))[made, 0] == (7, "")

        await until(there)

    async def test_abort(self, party: Party, made: str, producer: Transactor) -> None:
        """A position of an aborted transaction leaves the one before as it was."""
        await (await party.member()).commit(made, 3)
        await producer.add_offsets(party.group)
        await producer.commit_offset(party.group, made, 7)
        assert await self.unstable(party, made)
        assert await producer.end(commit=False) is NONE

        async def over() -> bool:
            return not await self.unstable(party, made)

        await until(over)
        assert (await party.positions(made))[made, 0] == (3, "")

    @pytest.mark.parametrize("within", [True, False], ids=["in a transaction", "outside"])
    async def test_what_came_last(
        self, party: Party, made: str, producer: Transactor, address: Address, within: bool
    ) -> None:
        """Of positions committed beside each other the latest stands, whatever ends last."""
        await producer.add_offsets(party.group)
        await producer.commit_offset(party.group, made, 7)
        if within:
            async with Transactor.at(address) as other:
                await other.begin()
                await other.add_offsets(party.group)
                await other.commit_offset(party.group, made, 9)
                assert await other.end(commit=True) is NONE
        else:
            assert await (await party.member()).commit(made, 9) is NONE
        assert await self.unstable(party, made)
        assert await producer.end(commit=True) is NONE

        async def over() -> bool:
            return not await self.unstable(party, made)

        await until(over)
        assert (await party.positions(made))[made, 0] == (9, "")

    async def test_unstable(self, party: Party, made: str, producer: Transactor) -> None:
        """Who asks for stable positions is told to wait while a transaction is open."""
        await producer.add_offsets(party.group)
        await producer.commit_offset(party.group, made, 7)
        assert await self.unstable(party, made)

    async def test_groups_are_added_first(
        self, party: Party, made: str, producer: Transactor
    ) -> None:
        """A position of a group that was not added to the transaction is refused."""
        assert await producer.commit_offset(party.group, made, 7) is INVALID

    async def test_generations(self, party: Party, made: str, producer: Transactor) -> None:
        """Positions in a transaction are fenced by generation and member as all others are."""
        (member,) = await party.gather(1)
        await producer.add_offsets(party.group)
        rightly = {"member_id": member.id, "generation_id": member.generation}
        cases: list[tuple[dict[str, Any], ErrorCode]] = [
            ({"generation_id": 9}, ErrorCode.illegal_generation),
            ({"member_id": "stranger"}, ErrorCode.unknown_member_id),
            ({"group_instance_id": "stranger"}, ErrorCode.unknown_member_id),
            ({}, NONE),
        ]
        for changes, error in cases:
            told = await producer.commit_offset(party.group, made, 7, **rightly | changes)
            assert told is error
        told = await producer.commit_offset(party.group, "none", 7, **rightly)
        assert told is ErrorCode.unknown_topic_or_partition

    async def unstable(self, party: Party, topic: str) -> bool:
        """Say whether a position waits for the end of a transaction."""
        wanted = [{"name": topic, "partition_indexes": (0,)}]
        one = {"group_id": party.group, "member_id": None, "member_epoch": -1, "topics": wanted}
        answer = await party.admin.ask(ApiKey.OFFSET_FETCH, 9, groups=[one], require_stable=True)
        error = answer.groups[0].topics[0].partitions[0].error_code
        assert error in {NONE, ErrorCode.unstable_offset_commit}
        return bool(error)


class TestAdministration:
    """What administrators see of transactions."""

    async def test_describing(self, made: str, producer: Transactor, raw: Raw) -> None:
        """A transaction is described with its state, timeout, producer and partitions."""
        await producer.send(made, b"a")
        found = await raw.ask(Txn.DESCRIBE, 0, transactional_ids=(producer.name,))
        (one,) = found.transaction_states
        assert (one.error_code, one.transaction_state) == (NONE, "Ongoing")
        assert (one.producer_id, one.producer_epoch) == (producer.id, producer.epoch)
        assert one.transaction_timeout.total_seconds() == 60
        assert [(topic.topic, topic.partitions) for topic in one.topics] == [(made, (0,))]

    @differs("keeps positions in no topic, so none is named")
    async def test_describing_positions(
        self, party: Party, producer: Transactor, raw: Raw, engine: Engine
    ) -> None:
        """Groups' positions in a transaction are described as a partition of their own topic."""
        await producer.add_offsets(party.group)
        found = await raw.ask(Txn.DESCRIBE, 0, transactional_ids=(producer.name,))
        (one,) = found.transaction_states
        assert one.transaction_state == "Ongoing"
        topics = [topic.topic for topic in one.topics]
        assert topics == ([] if engine.name == EMBEDDED else ["__consumer_offsets"])

    async def test_describing_what_is_not_there(self, producer: Transactor, raw: Raw) -> None:
        """A transactional id that nobody used is not found."""
        found = await raw.ask(Txn.DESCRIBE, 0, transactional_ids=(f"{uuid.uuid4()}",))
        (one,) = found.transaction_states
        assert one.error_code is ErrorCode.transactional_id_not_found

    async def test_listing(self, made: str, producer: Transactor, raw: Raw) -> None:
        """Transactions are listed by state; a state that is none is named in the answer."""
        await producer.send(made, b"a")
        nobody = {"producer_id_filters": (), "duration_filter": -1}
        answer = await raw.ask(Txn.LIST, 1, state_filters=("Ongoing", "Nonsense"), **nobody)
        assert answer.unknown_state_filters == ("Nonsense",)
        found = {one.transactional_id: one.producer_id for one in answer.transaction_states}
        assert found[producer.name] == producer.id
        answer = await raw.ask(Txn.LIST, 1, state_filters=("CompleteAbort",), **nobody)
        assert producer.name not in {one.transactional_id for one in answer.transaction_states}

    async def test_producers(self, made: str, producer: Transactor, raw: Raw) -> None:
        """A partition tells who writes to it, and where an open transaction began."""
        await raw.produce(made, batch(b"plain"))
        await producer.send(made, b"a", b"b")
        wanted = [{"name": made, "partition_indexes": (0,)}]
        answer = await raw.ask(Txn.DESCRIBE_PRODUCERS, 0, topics=wanted)
        (one,) = answer.topics[0].partitions[0].active_producers
        assert (one.producer_id, one.producer_epoch) == (producer.id, producer.epoch)
        assert (one.last_sequence, one.current_txn_start_offset) == (1, 1)

    @differs("has one coordinator, which never changes, and tells of no epoch of it")
    async def test_the_coordinators_epoch(
        self, made: str, producer: Transactor, raw: Raw, engine: Engine
    ) -> None:
        """A partition tells the epoch of the coordinator that ended a producer's transaction."""
        await producer.send(made, b"a")
        await producer.end(commit=True)
        await settled(raw, made)
        wanted = [{"name": made, "partition_indexes": (0,)}]
        answer = await raw.ask(Txn.DESCRIBE_PRODUCERS, 0, topics=wanted)
        (one,) = answer.topics[0].partitions[0].active_producers
        assert one.current_txn_start_offset == -1
        assert (one.coordinator_epoch < 0) is (engine.name == EMBEDDED)


@differs("offers the first version of transactions alone, and lets nobody else write their marks")
async def test_what_is_offered(raw: Raw, engine: Engine) -> None:
    """A producer's epoch may go up with each end, and administrators may end what hangs."""
    offered = await raw.ask(ApiKey.API_VERSIONS, 0)
    highest = {api.api_key: api.max_version for api in offered.api_keys}
    second = {Txn.ADD_PARTITIONS: 4, Txn.END: 5, Txn.COMMIT_OFFSETS: 5, WRITE_MARKS: 1}
    there = {key: highest.get(key, -1) >= version for key, version in second.items()}
    assert set(there.values()) == {engine.name != EMBEDDED}
