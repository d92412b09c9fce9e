"""A small Faust application: ``python -m tests.engines.counting BOOTSTRAP TOPIC FOLDER [HOW]``.

It says when its table is recovered. Then it counts the records of each key in the table, and prints
a line for each record: its key, what the table held for it before, and how many records came in
this run. It ends with SIGTERM.
"""

import itertools
import sys

import faust

PARTITIONS = 2
READY = "ready"
COUNTED = "counted"
"""What its lines begin with."""


def application(
    bootstrap: str, topic: str, folder: str, guarantee: str = "at_least_once"
) -> faust.App:
    """Return the application that counts the records of this topic."""
    app = faust.App(
        f"{topic}.counting",
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        processing_guarantee=guarantee,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
    )
    came = itertools.count(1)
    counts = app.Table("counts", default=int, partitions=PARTITIONS)

    @app.agent(app.topic(topic, key_type=str, key_serializer="raw", value_serializer="raw"))
    async def count(records: faust.StreamT[bytes]) -> None:
        async for key, _ in records.items():  # noqa: PERF102  # a stream, not a dictionary
            before = counts[key]
            counts[key] = before + 1
            print(COUNTED, key, before, next(came), flush=True)  # noqa: T201  # for the test

    @app.task  # type: ignore[untyped-decorator]  # of a package without types
    async def say_ready() -> None:
        await app.tables.wait_until_recovery_completed()
        print(READY, flush=True)  # noqa: T201  # for the test

    return app


if __name__ == "__main__":
    faust.Worker(
        application(*sys.argv[1:]),
        loglevel="WARN",
        redirect_stdouts=False,
        stdout=sys.stderr,  # where what it says of itself does not mix with what it counts
    ).execute_from_commandline()
