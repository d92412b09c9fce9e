"""The quick way through a batch's records: it agrees with the slow one, or has no opinion."""

import random

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bus.broker import native
from bus.broker.batch import HEADER, Header
from bus.broker.records import check_inside, walk
from tests.broker.raw import CODECS, TIME

SEED, TRIES = 4711, 50_000
LIMIT = 2**20


def made(codec: str = "none", *, times: tuple[int, ...] = (0, 50, 20), keyed: bool = True) -> bytes:
    """Return a batch with a header in each record."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 2**20)
    for offset, time in enumerate(times):
        key = b"key %d" % offset if keyed or offset else None
        builder.append(offset, TIME + time, key, b"value", [("name", b"content")])
    return bytes(builder.build())


def asked(batch: bytes, *, keyed: bool = False) -> int | None:
    """Return what the quick way says."""
    header = Header._make(HEADER.unpack_from(batch))
    records = check_inside(batch, header, limit=LIMIT, keyed=False).records
    return native.newest(batch, header, records, keyed=keyed)


@pytest.mark.parametrize("codec", list(CODECS))
def test_the_largest_time_with_each_codec(codec: str) -> None:
    assert asked(made(codec)) == 50


@pytest.mark.parametrize(
    ("batch", "keyed"),
    [
        pytest.param(made(times=(0, 1)), False, id="too few to be worth it"),
        pytest.param(made(keyed=False), True, id="a key is missing"),
        pytest.param(made(times=(0, -TIME - 1, 5)), False, id="a time before 1970"),
    ],
)
def test_no_opinion(batch: bytes, keyed: bool) -> None:
    assert asked(batch, keyed=keyed) is None


def test_records_that_differ_in_a_few_bytes() -> None:
    """Whatever it accepts, the slow way accepts with the same time."""
    chance, whole, accepted = random.Random(SEED), made(), 0
    for _ in range(TRIES):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(HEADER.size, len(changed))
            changed[place] = chance.choice([0, 1, 2, 3, 127, 128, 255, chance.randrange(256)])
        batch = bytes(changed)
        header = Header._make(HEADER.unpack_from(batch))
        records = batch[HEADER.size :]
        quick = native.newest(batch, header, records, keyed=False)
        if quick is not None:
            slow = walk(records, header.record_count, keyed=False)
            assert quick == slow, f"seed {SEED}: {records.hex()}"
            accepted += 1
    assert accepted > TRIES / 100


@pytest.mark.parametrize("longer", [-1, 1, 100])
def test_bytes_too_few_or_too_many(longer: int) -> None:
    batch = made()
    header = Header._make(HEADER.unpack_from(batch))
    batch = batch[:longer] if longer < 0 else batch + bytes(longer)
    assert native.newest(batch, header, batch[HEADER.size :], keyed=False) is None
