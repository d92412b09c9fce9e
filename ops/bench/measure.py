"""Running contenders in turn, each as a process of its own, and comparing what they report."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Unverified(Exception):
    """A run whose data were not what they should be; it has no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two contenders' figures from alternating runs; larger is better."""

    name: str
    unit: str
    ours: tuple[float, ...]
    peer_name: str
    peer: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Ours by the peer's, both medians."""
        return statistics.median(self.ours) / statistics.median(self.peer)

    def to_json(self) -> dict[str, Any]:
        """Return everything that was measured."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "peer_name": self.peer_name,
            "peer": self.peer,
            "ratio": round(self.ratio, 2),
        }

    def __str__(self) -> str:
        ours, peer = (f"{statistics.median(runs):,.0f}" for runs in (self.ours, self.peer))
        spread = f"{min(self.ours):,.0f} to {max(self.ours):,.0f}"
        return (
            f"{self.name}: {ours} {self.unit} ({spread}), "
            f"{self.peer_name} {peer} {self.unit}: {self.ratio:.2f} times"
        )


def in_turn(rounds: int, *contenders: Sequence[str], environment: Mapping[str, str]) -> Any:
    """Run worker processes A B A B …; return for each contender its runs' reports.

    Raises:
        Unverified: a run failed, or said that its data were not what they should be.
    """
    reports: list[list[dict[str, Any]]] = [[] for _ in contenders]
    for turn in range(rounds):
        for reported, arguments in zip(reports, contenders, strict=True):
            reported.append(_worker([*arguments, "--run", str(turn)], environment))
    return reports


def _worker(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "ops.bench.worker", *arguments]
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise Unverified(f"{' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not report["verified"]:
        raise Unverified(f"{' '.join(arguments)} read other data than it should: {report}")
    return report
