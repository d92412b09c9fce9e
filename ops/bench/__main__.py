"""`make bench`: publish and consume typed events beside confluent-kafka, start-up and memory.

    python -m ops.bench [--events N] [--rounds N] [-o json]

Each contender runs in a process of its own, in turn with its peer, on one embedded broker that is
started for the purpose. A run whose data were not verified gives no figure.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bus import __version__
from ops.bench.measure import Comparison, in_turn
from ops.bench.startup import startup
from ops.node import NodeProcess


def main() -> None:
    """Run all benchmarks and print what they measured."""
    parser = argparse.ArgumentParser(description="speed and memory, as ratios to peers in one run")
    parser.add_argument("--events", type=int, default=100_000, help="events in each run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    given = parser.parse_args()
    started = startup(given.rounds)
    with tempfile.TemporaryDirectory() as folder, NodeProcess(Path(folder)) as node:
        compared = list(_typed(given.events, given.rounds, node.environment))
    if given.output == "json":
        result = {"machine": _machine(), "startup": started}
        print(json.dumps(result | {"comparisons": [c.to_json() for c in compared]}))
        return
    print(_machine())
    print(
        f"serve --roles broker: ready {started['ready_seconds']:.2f} s after its process starts, "
        f"idle {started['idle_megabytes']:.0f} MB"
    )
    for comparison in compared:
        print(comparison)


def _typed(events: int, rounds: int, environment: Mapping[str, str]) -> Iterator[Comparison]:
    written = 2 * rounds * (events + 100)
    for task, count in (("publish", events), ("consume", written)):
        arguments = [[task, contender, "--events", str(count)] for contender in _CONTENDERS]
        ours, peer = in_turn(rounds, *arguments, environment=environment)
        yield Comparison(
            name=f"{task} typed events in bulk",
            unit="events/s",
            ours=tuple(run["events"] / run["seconds"] for run in ours),
            peer_name="confluent-kafka with Avro",
            peer=tuple(run["events"] / run["seconds"] for run in peer),
        )


_CONTENDERS = ("ours", "confluent")


def _machine() -> str:
    return (
        f"stadtbus {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}"
    )


if __name__ == "__main__":
    main()
