"""`make demo ENGINE=kafka`: the same demo on a real Kafka broker."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.usefixtures("apache")]


async def launched(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.kafka", "demo", "--data", str(folder), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def played(folder: Path, *arguments: str) -> tuple[int | None, Any, str]:
    """Play the demo to its end; return its exit code, its summary and what it said beside."""
    process = await launched(folder, *arguments, "-o", "json")
    out, told = await process.communicate()
    return process.returncode, json.loads(out.splitlines()[-1]), told.decode()


@pytest.mark.timeout(300)
async def test_it_is_the_same_demo_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = await played(tmp_path, "--for", "3")
    second = await played(tmp_path, "--for", "3")
    for code, summary, told in (first, second):
        assert (code, summary["lost"], summary["refused"]) == (0, 0, 3), told
        assert set(summary["delivered"]) == {
            "de.agency.geodaten.address-book",
            "de.agency.statistik.count-report",
            "de.agency.verkehr.traffic-view",
        }
        assert summary["delivered"]["de.agency.verkehr.traffic-view"] > 100
        assert "Traceback" not in told


async def test_it_stops_in_order(tmp_path: Path) -> None:
    process = await launched(tmp_path)
    assert process.stderr is not None
    book = tmp_path / "demo" / "address-book.db"
    await until(book.exists, deadline=60)
    process.send_signal(signal.SIGTERM)
    _, told = await process.communicate()
    assert (process.returncode, "Traceback" in told.decode()) == (0, False)
