"""Who the router is: its key, and the secret from which feeds' names for residents follow."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bus import files
from bus.errors import InvalidSettings
from bus.router.pseudonyms import SECRET_BYTES, Pseudonyms
from bus.settings import Settings
from bus.trust import keys
from bus.trust.signer import Signer

FOLDER, KEY, SECRET = "router", "router.key", "pseudonyms"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a router needs for restricted contracts.

    Args:
        system: as which it signs.
        signer: holds its key.
        pseudonyms: makes names for what recipients are not to know.
    """

    system: str
    signer: Signer
    pseudonyms: Pseudonyms

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return who the router is by these settings; None if they name no system.

        What the settings do not name is made at the first start, in the folder of the data.

        Raises:
            InvalidKey, InvalidSettings: key or secret cannot be read, or cannot be made.
        """
        if settings.router.system is None:
            return None
        folder = settings.data / FOLDER
        key = settings.router.signing_key or _made_key(folder)
        secret = settings.router.pseudonym_secret or _made_secret(folder)
        try:
            pseudonyms = Pseudonyms(secret.read_bytes())
        except OSError as error:
            raise InvalidSettings(f"cannot be read: {error.strerror}", where=str(secret)) from error
        return cls(settings.router.system, keys.FileSigner.open(key), pseudonyms)


def _made_key(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / KEY
    if not key.exists():
        keys.make(key)
        files.sync(folder)
    return key


def _made_secret(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = folder / SECRET
    if not secret.exists():
        # Whole or not at all: with another one everybody on the feeds would be somebody else.
        files.replace(secret, secrets.token_bytes(SECRET_BYTES))
    return secret
