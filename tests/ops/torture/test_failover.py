"""Brokers of three killed and held under load, once in each way; two of three down; the journal."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.kafka import Cluster, cluster, missing
from ops.torture.failover import failover, outage
from ops.torture.nemesis import QUICK
from ops.torture.rounds import Fault, Target
from tests.conftest import refuse

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(400)]

SEED = 20261121


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three brokers that notice quickly that one is gone, for the tests of this module alone."""
    if lacking := missing():
        refuse(str(lacking))
    with asyncio.Runner() as runner:
        starting = cluster(tmp_path_factory.mktemp("three"), brokers=3, configs=QUICK)
        running = runner.run(starting.__aenter__())
        try:
            yield running
        finally:
            runner.run(starting.__aexit__(None, None, None))


async def test_nothing_acknowledged_is_lost_out_of_order_or_done_twice(
    three: Cluster, tmp_path: Path
) -> None:
    outcome = await failover(three, tmp_path, rounds=6, seed=SEED)
    assert {(one.round.fault, one.round.target) for one in outcome.rounds} == {
        (fault, target) for fault in Fault for target in Target
    }
    assert outcome.findings.acknowledged > 0
    assert outcome.findings.entries > 0
    assert outcome.findings.breaches == ()


async def test_with_two_of_three_down_publishing_fails_and_says_why(
    three: Cluster, tmp_path: Path
) -> None:
    raised, findings = await outage(three, tmp_path, seed=SEED)
    assert raised
    assert all(error.retriable for error in raised)
    unnamed = [
        str(error)
        for error in raised
        if not any(
            cause in str(error)
            for cause in ("too few confirm", "min.insync.replicas", "no leader", "its leader, ")
        )
    ]
    assert unnamed == []
    assert findings.acknowledged > 0
    assert findings.breaches == ()
