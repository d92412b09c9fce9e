"""The small Faust application of `tests.engines.counting`, on a secured node.

``python -m tests.town.counting BOOTSTRAP TOPIC FOLDER USER`` in a user's folder.
"""

import ssl
import sys
from pathlib import Path

import faust

from tests.engines.counting import application


def secured(bootstrap: str, topic: str, folder: str, user: str) -> faust.App:
    """Return the application, which logs in with what the working directory holds."""
    app = application(bootstrap, topic, folder)
    app.conf.broker_credentials = faust.SASLCredentials(
        username=user,
        password=Path("password").read_text().strip(),
        mechanism="SCRAM-SHA-512",
        ssl_context=ssl.create_default_context(cafile="ca.pem"),
    )
    return app


if __name__ == "__main__":
    faust.Worker(
        secured(*sys.argv[1:]),
        loglevel="WARN",
        redirect_stdouts=False,
        stdout=sys.stderr,  # where what it says of itself does not mix with what it counts
    ).execute_from_commandline()
