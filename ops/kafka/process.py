"""One Kafka broker as a process of its own."""

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from bus.cli.demo.programs import end_with_parent
from bus.settings import Address
from ops.kafka.child import complaint
from ops.kafka.installation import Installation

STOP_SECONDS = 20.0

LOGGING_FILE = "log4j2.xml"
"""log4j2's configuration, in the folder of the cluster."""

_MEMORY = ("-Xms256m", "-Xmx768m", "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError")


class KafkaBroker:
    """A broker that can be killed, held and started again on its own data.

    Args:
        number: its id.
        address: where clients reach it.
        folder: holds ``server.properties`` and ``log.txt``, which takes all it says.
        installation: what runs it.
        options: further options of Java.
    """

    def __init__(
        self,
        number: int,
        address: Address,
        folder: Path,
        installation: Installation,
        options: tuple[str, ...] = (),
    ) -> None:
        self.id, self.address, self.log = number, address, folder / "log.txt"
        self._folder, self._installation, self._options = folder, installation, options
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0

    def start(self) -> None:
        """Start the process; it does not answer yet when this returns."""
        command = self._installation.command(
            "kafka.Kafka",
            self._folder / "server.properties",
            options=(
                *_MEMORY,
                *self._options,
                f"-Dlog4j2.configurationFile={self._folder.parent / LOGGING_FILE}",
            ),
        )
        with self.log.open("ab") as log:
            self._said = log.tell()
            self._process = _detached(command, log)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs; one that is held does."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as a power cut would, whether it runs or is held."""
        self._running.kill()
        self._running.wait()

    def pause(self) -> None:
        """Hold it: it keeps its connections and answers nobody."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._running.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Ask it to stop in order, if it runs."""
        if self.alive:
            self.resume()
            self._running.terminate()

    def wait(self) -> None:
        """Return once it has ended; end it if it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def last_words(self) -> str:
        """How it ended, or what it complained of since it was started."""
        if self._process is not None and (code := self._process.poll() or 0) < 0:
            return f"ended by {signal.Signals(-code).name}"
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._said)
            return complaint(log.read())

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the broker was not started"
        return self._process


def _detached(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that a Ctrl-C at the terminal does not reach, but our own end does."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # async-signal-safe calls only
    )
