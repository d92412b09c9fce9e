"""Contenders that do as a test tells them: each is run in a process of its own."""

import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ops.bench.model import Task, Unverified


def note(task: Task) -> Mapping[str, float]:
    """Write down that this ran, and report the number of runs so far."""
    log = Path(task.case["log"])
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{task.name}\n")
    return {"runs": float(len(log.read_text(encoding="utf-8").splitlines()))}


def spoilt(task: Task) -> Mapping[str, float]:
    """Find the data not to be what they should be."""
    raise Unverified("7 events came, 8 should have")


def broken(task: Task) -> Mapping[str, float]:
    """Fail."""
    raise RuntimeError("the wheel came off")


def silent(task: Task) -> Mapping[str, float]:
    """Report something else than what is measured."""
    return {"other": 1.0}


def endless(task: Task) -> Mapping[str, float]:
    """Start a process that outlives this one, and take too long."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(task.case["log"]).write_text(str(child.pid), encoding="utf-8")
    time.sleep(60)
    return {}


def prepared(task: Task) -> Mapping[str, str]:
    """Prepare something."""
    return {"told": f"by {task.name}"}


def told(task: Task) -> Mapping[str, float]:
    """Report whether the preparation's answer came."""
    return {"runs": float(task.prepared["told"] == "by try-0-prepare")}


def without_headers(task: Task) -> Mapping[str, float]:
    """Publish as the plain loop does, with two of eight headers."""
    from ops.bench.contenders import loop

    class Sparing(loop.Encoder):
        def __call__(
            self, data: Mapping[str, Any], id_: str = ""
        ) -> tuple[bytes, bytes, loop.Headers]:
            key, value, headers = super().__call__(data, id_)
            return key, value, [one for one in headers if one[0] in {"ce_id", "ce_type"}]

    loop.Encoder = Sparing  # type: ignore[misc]  # in this process alone
    return loop.publish_bulk(task)


def load_without_one(task: Task) -> Mapping[str, Any]:
    """Prepare a topic as for those that read it, and leave one event out."""
    from ops.bench.contenders import stadtbus

    whole = stadtbus._drafts  # what is spoilt here
    stadtbus._drafts = lambda start, end: islice(whole(start, end), 1, None)
    return stadtbus.load(task)
