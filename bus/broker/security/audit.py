"""What is noted of security: who was denied what, who did not get in, who changed what.

One line for each; what repeats is counted, so that nobody can fill the disk or hide in the noise.
"""

import time
from collections.abc import Callable

from bus.audit import LONGEST, Notes, log, quoted
from bus.telemetry import Telemetry


class Audit:
    """Writes the audit log of one broker.

    Args:
        telemetry: where denials and logins are counted.
        clock: seconds that only go forward.

    Attributes:
        notes: where it is all told.
    """

    def __init__(
        self, telemetry: Telemetry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._telemetry, self.notes = telemetry, Notes(clock=clock)

    def denied(
        self, principal: str, host: str, operation: str, resource: tuple[str, str], api: str
    ) -> None:
        """Note that a principal may not do what it asked for."""
        self._telemetry.denials.labels(api.lower()).inc()
        kind, name = resource
        what = (principal, host, operation, kind, name, api)
        if self.notes.repeated("denied", what):
            return  # without making the line, as it may be one of many thousands
        line = (
            f"denied principal={quoted(principal)} host={quoted(host)} operation={operation} "
            f"resource={kind} name={quoted(name)} api={api}"
        )
        self.notes.tell("denied", principal, what, line)

    def refused(self, user: str, host: str, mechanism: str, reason: str) -> None:
        """Note that somebody did not get in."""
        self._telemetry.logins.labels(mechanism, "refused").inc()
        line = (
            f"login refused user={quoted(user)} host={quoted(host)} mechanism={mechanism} "
            f"reason={quoted(reason)}"
        )
        self.notes.tell("login", host, (user[:LONGEST], host, mechanism, reason), line)

    def not_offered(self, host: str, mechanism: str) -> None:
        """Note that somebody wanted to log in by a mechanism that there is not."""
        self._telemetry.logins.labels("other", "refused").inc()  # its name is the client's choice
        line = f"login refused host={quoted(host)} mechanism={quoted(mechanism)} is not offered"
        self.notes.tell("login", host, (host, mechanism[:LONGEST]), line)

    def sent_away(self, host: str, reason: str) -> None:
        """Note that somebody who has not logged in had to go."""
        line = f"not logged in host={quoted(host)} reason={quoted(reason)}"
        self.notes.tell("stranger", host, (host, reason), line)

    def admitted(self, mechanism: str) -> None:
        """Count somebody who got in."""
        self._telemetry.logins.labels(mechanism, "ok").inc()

    def changed(self, principal: str, host: str, what: str) -> None:
        """Note a change of users or rules."""
        log.info("changed principal=%s host=%s %s", quoted(principal), quoted(host), what)

    def flush(self) -> None:
        """Tell how often repeated what was told a minute ago; to be called now and then."""
        self.notes.flush()
