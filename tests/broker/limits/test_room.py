"""That the event loop and the disk have room."""

import pytest
from kio.schema.errors import ErrorCode

from bus.broker import Broker
from bus.broker.housekeeping import Housekeeping
from tests.broker.raw import Raw, batch


async def test_producing_stops_where_the_disk_is_nearly_full_and_goes_on_by_itself(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"bytes": 2**40}

    class Usage:
        @property
        def free(self) -> int:
            return free["bytes"]

    monkeypatch.setattr("bus.broker.housekeeping.shutil.disk_usage", lambda _: Usage())
    monkeypatch.setattr(Housekeeping, "step", lambda *_, **__: None)
    async with await Raw.to(broker) as raw:
        await raw.create("t")
        assert (await raw.produce("t", batch(b"1", producer=(5, 0, 0)))).base_offset == 0
        for round_ in range(3):
            free["bytes"] = 2**20
            second = batch(b"2" * 2**19, producer=(5, 0, 1 + round_))
            for _ in range(3):
                refused = await raw.produce("t", second)
                assert refused.error_code is ErrorCode.kafka_storage_error
            assert (await raw.fetch("t", 0)).high_watermark == 1 + round_  # reading goes on
            free["bytes"] = 2**40
            assert (await raw.produce("t", second)).base_offset == 1 + round_
    assert not broker.failed.is_set()
