"""A process that copies disclosures until it is killed, and says so before each commit.

Arguments: the engine's address, the data folder.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from bus.disclosures.follower import Follower
from bus.disclosures.store import Store
from bus.settings import KafkaSettings


class Telling(Store):
    """A store that says when it is about to write."""

    def add(self, *arguments: Any) -> None:
        print("adding", flush=True)  # noqa: T201
        super().add(*arguments)


if __name__ == "__main__":
    asyncio.run(Follower(KafkaSettings(bootstrap=sys.argv[1]), Telling(Path(sys.argv[2]))).run())
