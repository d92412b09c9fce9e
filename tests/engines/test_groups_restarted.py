"""What is left of a group when the engine was off for a while."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kio.schema.errors import ErrorCode

from tests.engine import ApacheSwitch, EmbeddedSwitch, Engine, Switch
from tests.engines.deviations import EMBEDDED, differs
from tests.engines.party import Party
from tests.waiting import until


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine that can be turned off and on again."""
    if request.param == EMBEDDED:
        return Engine(name=EMBEDDED, settings=request.getfixturevalue("fresh"))
    chosen: Engine = request.getfixturevalue("kafka")
    return chosen


@pytest.fixture
async def switch(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> AsyncIterator[Switch]:
    """Turns the engine off and on again."""
    if engine.cluster is None:
        switch: Switch = EmbeddedSwitch(request.getfixturevalue("broker"), tmp_path / "broker")
    else:
        switch = ApacheSwitch(engine.cluster)
    yield switch
    await switch.close()


@differs("forgets who the members are when it stops: they join anew, and go on at their positions")
@pytest.mark.slow
async def test_restart(engine: Engine, switch: Switch, party: Party, made: str) -> None:
    """After a restart members are known, and positions are kept: nobody has to join again."""
    (member,) = await party.gather(1, ["one"])
    assert await member.commit(made, 3) is ErrorCode.none
    await switch.off()
    await switch.on()
    party.admin, member.raw = await party.connect(), await party.connect()
    await until(party._coordinated)
    known = ErrorCode.unknown_member_id if engine.name == EMBEDDED else ErrorCode.none
    assert await member.beat() is known
    assert await member.commit(made, 4) is known
    if known is not ErrorCode.none:
        member.id = ""
        await member.join()
        await member.sync()
    assert (await party.positions(made))[made, 0] == (3 if known else 4, "")
