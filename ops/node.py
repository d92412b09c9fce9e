"""`stadtbus serve` as a process: started, killed and started again on the ports that it had."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from bus.cli.demo.programs import end_with_parent
from bus.settings import Address, variable

STOP_SECONDS = 10.0


class NodeProcess:
    """A node with its data in a folder.

    Args:
        data: the node's folder.
        arguments: further arguments of `stadtbus serve`.
        prefix: a command that runs it, such as one that makes its disk slow.
        environment: what its environment has beside ours.
    """

    def __init__(
        self,
        data: Path,
        *arguments: str,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._data, self._arguments = data, arguments
        self._prefix, self._environment = prefix, environment
        self._ports = {"broker": 0, "registry": 0, "portal": 0, "ops": 0}
        self._process: subprocess.Popen[str] | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        """Start the node and return once every role answers.

        Raises:
            RuntimeError: it ended instead.
        """
        self.launch()
        self.answered()

    def launch(self) -> None:
        """Start the node, which dies with the thread that starts it: call it in the main one."""
        listeners = [f"--{role}-listen=127.0.0.1:{port}" for role, port in self._ports.items()]
        command = [
            *self._prefix,
            sys.executable,
            "-m",
            "bus.cli",
            "serve",
            "-o",
            "json",
            "--data",
            str(self._data),
        ]
        self._process = subprocess.Popen(
            [*command, *listeners, *self._arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **self._environment},
            preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  # async-signal-safe calls only
        )

    def answered(self) -> None:
        """Return once every role of a node that was launched answers; any thread may wait.

        Raises:
            RuntimeError: it ended instead.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.stdout.close()
            raise RuntimeError(f"the node ended with exit code {self._process.wait()}")
        self.ready = json.loads(line)
        for role in self._ports:
            if address := self.ready[role]:
                self._ports[role] = Address.parse(address.rpartition("//")[2]).port

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that shall use this node."""
        return {
            **os.environ,
            variable("kafka.bootstrap"): self.ready["broker"],
            variable("registry.url"): self.ready["registry"] or "http://127.0.0.1:1",
        }

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(signum)

    def kill(self) -> None:
        """End the process as a power cut would: no signal that it could handle."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop in order; return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, signum: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(signum)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self.stop()
