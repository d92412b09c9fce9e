"""Transactions: what is refused, and by which error; what looks wrong and is not."""

from typing import Any

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import ApiKey
from bus.settings import Address
from tests.broker.raw import TIME, Raw, batch, produce_fields
from tests.engines.log import ATTRIBUTES_AT, edited
from tests.engines.party import Party
from tests.engines.transactor import (
    COMMITTED,
    NONE,
    UNCOMMITTED,
    Transactor,
    Txn,
    settled,
    transactional,
)

INVALID = ErrorCode.invalid_txn_state
FENCED = ErrorCode.producer_fenced
OLD = ErrorCode.invalid_producer_epoch
MAPPING = ErrorCode.invalid_producer_id_mapping
REQUEST = ErrorCode.invalid_request


class TestWho:
    """Whoever is not the producer of a transactional id is refused by all that changes it."""

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"name": "nobody"}, MAPPING, id="a transactional id that nobody has"),
            pytest.param({"name": ""}, REQUEST, id="an empty one"),
            pytest.param({"id": 1_000_000}, MAPPING, id="another producer"),
            pytest.param({"epoch": 1}, FENCED, id="an epoch that was not given yet"),
            pytest.param({"epoch": -1}, FENCED, id="an old epoch"),
        ],
    )
    async def test_changes(
        self, made: str, producer: Transactor, changes: dict[str, Any], error: ErrorCode
    ) -> None:
        """The transactional id is looked at first, then the producer, then its epoch."""
        await producer.send(made, b"a")
        one = Transactor(producer.raw, changes.get("name", producer.name))
        one.id = producer.id + changes.get("id", 0)
        one.epoch = producer.epoch + changes.get("epoch", 0)
        assert await one.add(made, 1) is error
        assert await one.add_offsets("g") is error
        assert await one.end(commit=True) is error

    @pytest.mark.parametrize(
        ("producer_id", "epoch"), [pytest.param(7, -1, id="id"), pytest.param(-1, 7, id="epoch")]
    )
    @pytest.mark.parametrize("named", [True, False], ids=["transactional", "not transactional"])
    async def test_half_an_identity(
        self, producer: Transactor, producer_id: int, epoch: int, named: bool
    ) -> None:
        """Who begins again names its id and its epoch, or neither."""
        more: dict[str, Any] = {} if named else {"transactional_id": None}
        answer = await producer.ask_to_begin(producer_id=producer_id, producer_epoch=epoch, **more)
        assert answer.error_code is REQUEST

    async def test_beginning_with_what_was_forgotten(self, address: Address) -> None:
        """A producer whose transactional id was forgotten begins anew."""
        async with Transactor.at(address) as one:
            answer = await one.ask_to_begin(producer_id=123_456, producer_epoch=7)
            assert (answer.error_code, answer.producer_epoch) == (NONE, 0)

    async def test_renewing_twice(self, producer: Transactor) -> None:
        """Who did not get the answer to its renewal gets the same one again."""
        mine = {"producer_id": producer.id, "producer_epoch": producer.epoch}
        told = [await producer.ask_to_begin(**mine) for _ in range(2)]
        assert [one.producer_epoch for one in told] == [producer.epoch + 1] * 2

    async def test_renewing_with_a_transaction_open(
        self, raw: Raw, made: str, producer: Transactor
    ) -> None:
        """A producer that renews itself aborts what it had open, and its epoch goes up by one."""
        await producer.send(made, b"a")
        mine = {"producer_id": producer.id, "producer_epoch": producer.epoch}
        told = await producer.ask_to_begin(**mine)
        assert (told.error_code, told.producer_epoch) == (NONE, producer.epoch + 1)
        await settled(raw, made)

    @pytest.mark.parametrize(
        ("key", "versions", "fields"),
        [
            pytest.param(Txn.END, (1, 2), {"committed": True}, id="ending"),
            pytest.param(Txn.ADD_OFFSETS, (1, 2), {"group_id": "g"}, id="adding a group"),
            pytest.param(
                ApiKey.INIT_PRODUCER_ID, (3, 4), {"transaction_timeout": 1000}, id="beginning"
            ),
        ],
    )
    async def test_older_clients(
        self,
        address: Address,
        producer: Transactor,
        key: int,
        versions: tuple[int, int],
        fields: dict[str, Any],
    ) -> None:
        """Older clients are told of being fenced by the error that they know."""
        async with Transactor.at(address, producer.name) as later:
            await later.begin()
            told = [(await producer.ask(key, version, **fields)).error_code for version in versions]
        assert told == [OLD, FENCED]


class TestWriting:
    """What belongs to no transaction is not taken for a part of it, nor the other way round."""

    async def write(
        self, producer: Transactor, records: bytes, topic: str, **more: Any
    ) -> ErrorCode:
        """Send a batch and return what it is told."""
        fields = produce_fields(topic, records, more.get("partition", 0))
        name = more.get("name", producer.name)
        version = more.get("version", 9)
        answer = await producer.raw.ask(
            ApiKey.PRODUCE, version, **fields | {"transactional_id": name}
        )
        return ErrorCode(answer.responses[0].partition_responses[0].error_code)

    @pytest.mark.parametrize(
        ("epoch", "first", "error"),
        [
            pytest.param(0, 5, ErrorCode.out_of_order_sequence_number, id="a gap"),
            pytest.param(1, 0, OLD, id="an epoch that was not given yet"),
        ],
    )
    async def test_into_an_open_transaction(
        self, made: str, producer: Transactor, epoch: int, first: int, error: ErrorCode
    ) -> None:
        """A producer's epoch and numbers count within a transaction, too."""
        await producer.send(made, b"a")
        identity = (producer.id, producer.epoch + epoch, first)
        assert await self.write(producer, transactional(b"b", producer=identity), made) is error

    async def test_beside_it(self, raw: Raw, made: str, producer: Transactor) -> None:
        """A producer with an open transaction cannot write anything else to that partition."""
        await producer.send(made, b"a")
        plain = batch(b"b", producer=(producer.id, producer.epoch, 1))
        assert await self.write(producer, plain, made) is INVALID
        assert (await raw.produce(made, plain)).error_code is INVALID
        await producer.end(commit=True)
        await settled(raw, made)
        assert (await raw.produce(made, plain)).error_code is NONE

    async def test_after_it(self, raw: Raw, made: str, producer: Transactor) -> None:
        """After its end nothing is part of a transaction any more, not even a repeat."""
        await producer.send(made, b"a")
        await producer.end(commit=True)
        await settled(raw, made)
        for first in (0, 1):
            records = transactional(b"a", producer=(producer.id, producer.epoch, first))
            assert await self.write(producer, records, made) is INVALID

    @pytest.mark.parametrize(
        ("version", "error"), [(10, INVALID), (11, ErrorCode.transaction_abortable)]
    )
    async def test_what_was_not_added(
        self, made: str, producer: Transactor, version: int, error: ErrorCode
    ) -> None:
        """Newer producers are told that aborting is the way out."""
        records = transactional(b"a", producer=(producer.id, producer.epoch, 0))
        assert await self.write(producer, records, made, version=version) is error

    async def test_under_another_name(self, made: str, producer: Transactor) -> None:
        """A transactional id that nobody has does not have this producer."""
        records = transactional(b"a", producer=(producer.id, producer.epoch, 0))
        assert await self.write(producer, records, made, name="nobody") is MAPPING

    async def test_by_nobody(self, made: str, producer: Transactor) -> None:
        """Batches without a producer are in no transaction, whatever they and the request say."""
        plain = batch(b"a")
        marked = edited(plain, ATTRIBUTES_AT, (0x10).to_bytes(2, "big"))
        assert await self.write(producer, plain, made) is NONE
        assert await self.write(producer, marked, made) is NONE


class TestPositions:
    """Positions in a transaction are refused as records are, and as positions are."""

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"producer_id": 1}, MAPPING, id="another producer"),
            pytest.param({"producer_epoch": 9}, OLD, id="another epoch"),
            pytest.param({"group_id": ""}, ErrorCode.invalid_group_id, id="no group"),
            pytest.param(
                {"generation_id": 3, "member_id": "m"},
                ErrorCode.illegal_generation,
                id="a generation of a group that is not there",
            ),
            pytest.param({"member_id": "m"}, NONE, id="a member without a generation"),
            pytest.param({"group_instance_id": "m"}, NONE, id="an instance without a generation"),
        ],
    )
    async def test_who(
        self,
        party: Party,
        made: str,
        producer: Transactor,
        changes: dict[str, Any],
        error: ErrorCode,
    ) -> None:
        """Who commits positions says for whom; of an empty group it need not be true."""
        await producer.add_offsets(party.group)
        assert await producer.commit_offset(party.group, made, 7, **changes) is error

    async def test_without_a_member(self, party: Party, made: str, producer: Transactor) -> None:
        """A producer that names no member commits even for a group that has some."""
        await party.gather(1)
        await producer.add_offsets(party.group)
        assert await producer.commit_offset(party.group, made, 7) is NONE

    async def test_a_deleted_group(self, party: Party, made: str, producer: Transactor) -> None:
        """A group is there with its first position; deleted, it takes along what is open."""
        await producer.add_offsets(party.group)
        await producer.commit_offset(party.group, made, 7)
        assert (await party.describe()).group_state == "Empty"
        answer = await party.admin.ask(ApiKey.DELETE_GROUPS, 1, groups_names=(party.group,))
        assert answer.results[0].error_code is NONE
        wanted = [{"name": made, "partition_indexes": (0,)}]
        one = {"group_id": party.group, "member_id": None, "member_epoch": -1, "topics": wanted}
        found = await party.admin.ask(ApiKey.OFFSET_FETCH, 9, groups=[one], require_stable=True)
        told = found.groups[0].topics[0].partitions[0]
        assert (told.error_code, told.committed_offset) == (NONE, -1)


@pytest.mark.parametrize(
    ("isolation", "times", "newest"),
    [
        pytest.param(UNCOMMITTED, [0, 1, 1], 1, id="all records"),
        pytest.param(COMMITTED, [0, -1, -1], -1, id="committed ones"),
    ],
)
async def test_times(
    raw: Raw, made: str, producer: Transactor, isolation: int, times: list[int], newest: int
) -> None:
    """Times are looked up before the last stable offset by who reads committed records."""
    await raw.produce(made, batch(b"a", times=(TIME - 1000,)))
    await producer.send(made, b"b")

    async def found(time: int) -> int:
        asked = [{"partition_index": 0, "current_leader_epoch": -1, "timestamp": time}]
        answer = await raw.ask(
            ApiKey.LIST_OFFSETS,
            7,
            replica_id=-1,
            isolation_level=isolation,
            topics=[{"name": made, "partitions": asked}],
        )
        return int(answer.topics[0].partitions[0].offset)

    assert [await found(time) for time in (TIME - 1000, TIME - 500, TIME)] == times
    assert await found(-3) == newest
