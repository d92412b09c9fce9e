"""Hostile bytes that a fuzzer finds by what the parser does with them: needs atheris.

`python -m ops.torture.broker.guided FOLDER SECONDS SEED` ends with an error at the first bytes that
are neither read nor refused, take long or take memory; FOLDER gets them, and the corpus.
"""

import asyncio
import os
import random
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

_SECONDS_EACH, _MEGABYTES = 10, 1024
_DONE = re.compile(rb"stat::number_of_executed_units: (\d+)")


def installed() -> bool:
    """Whether atheris is."""
    return find_spec("atheris") is not None


async def guided(data: Path, seed: int, seconds: float) -> tuple[int, list[str]]:
    """Run the fuzzer; return how much it tried, and what went wrong.

    Args:
        data: an empty folder.
        seed: settles what it begins with and does.
        seconds: how long it runs.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ops.torture.broker.guided",
        str(data),
        str(int(seconds)),
        str(seed),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    tried = max(map(int, _DONE.findall(said)), default=0)
    if process.returncode == 0:
        return tried, []
    return tried, [f"the fuzzer, seed {seed}: {said[-2000:].decode(errors='replace')}"]


def main(folder: str, seconds: str, seed: str) -> None:
    """Fuzz the parser in this process, which ends with it."""
    atheris = import_module("atheris")  # is not among what is installed for development
    with atheris.instrument_imports(include=["bus.broker"]):
        from ops.torture.broker import hostile

    # The first byte says what it is.
    def one(data: bytes) -> None:
        if data[:1] < b"\x80":
            hostile.is_request(data[1:])
        else:
            hostile.is_batch(data[1:])

    (corpus := Path(folder) / "corpus").mkdir()
    chance = random.Random(seed)
    frames = [b"\0" + frame[4:] for frame in hostile.frames(chance)]
    batches = [b"\xff" + hostile.whole_batch(chance) for _ in range(100)]
    for number, data in enumerate(frames + batches):
        (corpus / str(number)).write_bytes(data)
    options = {
        "max_total_time": seconds,
        "seed": seed,
        "timeout": _SECONDS_EACH,
        "rss_limit_mb": _MEGABYTES,
        "artifact_prefix": f"{folder}{os.sep}",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
