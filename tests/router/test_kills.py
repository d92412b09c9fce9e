"""Routers killed and stopped in mid-stream, while residents move and grants come and go."""

import random
from pathlib import Path

import pytest

from ops.torture.router import router_campaign
from tests.city import City

pytestmark = pytest.mark.slow

HITS = {"embedded": 20, "kafka": 5}


@pytest.mark.timeout(600)
async def test_feeds_are_whole_whatever_happens_to_routers(
    city: City, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")  # noqa: T201  # shown where it fails
    hits = HITS["kafka" if "kafka" in request.node.name else "embedded"]
    findings = await router_campaign(tmp_path, city.settings, hits=hits, seed=seed, say=print)
    assert findings.breaches[:20] == []
    assert findings.deliveries > 0
    assert findings.withdrawals > 0
