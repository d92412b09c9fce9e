"""Says in good time that a certificate is about to expire: as a metric, and in the log."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bus.errors import InvalidSettings
from bus.security.folder import RENEW_DAYS
from bus.settings import Settings
from bus.telemetry import Telemetry

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between two looks at the files."""

_AGAIN = timedelta(days=1)
"""How often the log says the same."""


def watched(settings: Settings, listeners: Collection[str], ca: Path) -> dict[str, Path]:
    """Return the certificates that a node uses, by what they are called in the metric.

    Args:
        settings: as `in_force` returns them.
        listeners: the names of those that the node has.
        ca: the authority's, if the node made one.
    """
    files = {name: getattr(settings, name).certificate_file for name in listeners}
    found = {name: file for name, file in files.items() if file is not None}
    return found | ({"ca": ca} if found and ca.exists() else {})


class CertificateWatch:
    """Keeps the gauge of certificates' last days up to date.

    Args:
        files: certificates by what they are called in the metric.
        telemetry: whose gauge is set.
        now: the time, UTC.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        telemetry: Telemetry,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._files, self._telemetry, self._now = files, telemetry, now
        self._said: dict[str, datetime] = {}
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look in the background."""
        if self._files:
            self._watching = asyncio.create_task(self._watch(), name="certificate watch")

    async def stop(self) -> None:
        """Stop looking."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(INTERVAL)

    def look(self) -> None:
        """Read every certificate once."""
        # Loaded here: reading certificates takes a tenth of a second of a node's start.
        from bus.security.certificates import expiry

        for name, file in self._files.items():
            try:
                end = expiry(file)
            except InvalidSettings as error:
                log.warning("it cannot be told when a certificate expires: %s", error)
                continue
            self._telemetry.certificate_expiry.labels(name).set(end.timestamp())
            self._warn(name, file, end)

    def _warn(self, name: str, file: Path, end: datetime) -> None:
        now = self._now()
        left, before = end - now, self._said.get(name)
        if left > timedelta(days=RENEW_DAYS) or (before is not None and now - before < _AGAIN):
            return
        self._said[name] = now
        log.warning(
            "%s: the certificate %s expires in %s days; renew it (stadtbus certificate renew)",
            name,
            file,
            max(left.days, 0),
        )
