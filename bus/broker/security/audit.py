"""What is noted of security: who was denied what, who did not get in, who changed what.

One line for each, on the logger ``stadtbus.audit``. What is denied again and again is told at once
and then with its count once a minute, so that nobody can fill the disk or hide in the noise.
"""

import json
import logging
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from bus.telemetry import Telemetry

REPEAT_SECONDS = 60.0
MOST_KINDS = 1000  # of lines that are counted apart
LONGEST = 200  # characters of a value that a client chose

log = logging.getLogger("stadtbus.audit")


@dataclass(slots=True)
class _Told:
    line: str
    at: float
    more: int = 0


class Audit:
    """Writes the audit log of one broker.

    Args:
        telemetry: where denials and logins are counted.
        clock: seconds that only go forward.
    """

    def __init__(
        self, telemetry: Telemetry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._telemetry, self._clock = telemetry, clock
        self._told: dict[Hashable, _Told] = {}

    def denied(
        self, principal: str, host: str, operation: str, resource: tuple[str, str], api: str
    ) -> None:
        """Note that a principal may not do what it asked for."""
        self._telemetry.denials.labels(api.lower()).inc()
        kind, name = resource
        key = (principal, host, operation, kind, name, api)
        known = self._told.get(key)
        if known is not None and self._clock() - known.at < REPEAT_SECONDS:
            known.more += 1
            return
        line = (
            f"denied principal={quoted(principal)} host={quoted(host)} operation={operation} "
            f"resource={kind} name={quoted(name)} api={api}"
        )
        self._tell(key, line)

    def refused(self, user: str, host: str, mechanism: str, reason: str) -> None:
        """Note that somebody did not get in."""
        self._telemetry.logins.labels(mechanism, "refused").inc()
        line = (
            f"login refused user={quoted(user)} host={quoted(host)} mechanism={mechanism} "
            f"reason={quoted(reason)}"
        )
        self._tell(("login", user[:LONGEST], host, mechanism, reason), line)

    def unencrypted(self, host: str, reason: str) -> None:
        """Note that TLS could not be agreed on with somebody."""
        self._telemetry.handshake_failures.labels(reason).inc()
        self._tell(("tls", host, reason), f"no TLS host={quoted(host)} reason={quoted(reason)}")

    def admitted(self, mechanism: str) -> None:
        """Count somebody who got in."""
        self._telemetry.logins.labels(mechanism, "ok").inc()

    def changed(self, principal: str, host: str, what: str) -> None:
        """Note a change of users or rules."""
        log.info("changed principal=%s host=%s %s", quoted(principal), quoted(host), what)

    def flush(self) -> None:
        """Tell how often repeated what was told a minute ago; to be called now and then."""
        now = self._clock()
        due = [key for key, told in self._told.items() if now - told.at >= REPEAT_SECONDS]
        for key in due:
            told = self._told.pop(key)
            if told.more:
                log.warning("%s repeated=%s", told.line, told.more)

    def _tell(self, key: Hashable, line: str) -> None:
        now = self._clock()
        known = self._told.get(key)
        if known is None and len(self._told) >= MOST_KINDS:
            key, line = "more", "too many different denials and refused logins to tell each"
            known = self._told.get(key)
        if known is None:
            self._told[key] = _Told(line, now)
            log.warning("%s", line)
        elif now - known.at < REPEAT_SECONDS:
            known.more += 1
        else:
            log.warning("%s repeated=%s", line, known.more + 1)
            known.at, known.more = now, 0


def quoted(text: str) -> str:
    """Return a value that a client chose so that it cannot pass for anything else in a line."""
    return json.dumps(text if len(text) <= LONGEST else f"{text[:LONGEST]}…", ensure_ascii=False)
