"""Settings of those who publish."""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from bus.settings.values import Section, secret


class PublisherSettings(Section):
    """With what a publisher signs."""

    signing_key: Path | None = Field(
        default=None,
        description="the system's private key (PEM), which signs what is published on restricted "
        "contracts",
    )
    signing_passphrase_file: Path | None = Field(
        default=None, description="a file whose first line is the passphrase of that key"
    )

    def passphrase(self) -> Callable[[], bytes] | None:
        """Return what reads the passphrase once it is needed; None if there is none."""
        file = self.signing_passphrase_file
        if file is None:
            return None
        return lambda: secret(file, "publisher.signing_passphrase_file", "passphrase").encode()
