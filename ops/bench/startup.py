"""How long a broker takes from the start of its process to ready, and its memory when idle."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ops.node import NodeProcess

IDLE_SECONDS = 2.0
"""How long the broker is left alone before its memory is read."""


def startup(rounds: int) -> dict[str, Any]:
    """Start `stadtbus serve --roles broker` several times; return medians."""
    runs = [_start() for _ in range(rounds)]
    return {
        "ready_seconds": statistics.median(run["seconds"] for run in runs),
        "idle_megabytes": statistics.median(run["megabytes"] for run in runs),
        "runs": runs,
    }


def _start() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        node = NodeProcess(Path(folder), "--roles", "broker")
        begun = time.perf_counter()
        with node:
            seconds = time.perf_counter() - begun
            time.sleep(IDLE_SECONDS)
            return {"seconds": round(seconds, 3), "megabytes": _resident(node.pid)}


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1000, 1)
    raise RuntimeError("the kernel does not tell the process's memory")
