"""What settings are made of: addresses, lists, principals, and secrets that lie in files."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.errors import InvalidSettings

Role = Literal["broker", "registry", "router", "portal"]
ROLES: tuple[Role, ...] = ("broker", "registry", "router", "portal")
DEFAULT_ROLES: tuple[Role, ...] = ("broker", "registry", "portal")

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Address(BaseModel):
    """A host and a TCP port, written ``host:port``; IPv6 hosts stand in brackets."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``host:port``.

        Raises:
            ValueError: there is no host, or the port is not a number from 0 to 65535.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or "/" in host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f'"{text}" is not host:port with a port from 0 to 65535')
        return cls(host=host.strip("[]"), port=int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for all addresses of this machine, and so is none to go to."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def addresses(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def listed(value: Any) -> Any:
    """Read a list that is written with commas, as flags and environment variables give it."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def principals(value: Any) -> Any:
    """Read principals; a comma counts before ``User:``, as certificates' names have their own."""
    if isinstance(value, str):
        parts = re.split(r"[,;](?=\s*(?:User:|$))", value)
        return tuple(part.strip() for part in parts if part.strip())
    return value


def are_principals(value: tuple[str, ...]) -> tuple[str, ...]:
    for principal in value:
        if not re.fullmatch(r"User:.+", principal):
            raise ValueError(f'"{principal}" is no principal, such as User:admin')
    return value


class Section(BaseModel):
    """A group of settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def secret(file: Path, setting: str, kind: str) -> str:
    """Return the first line of a file: a password or a token.

    Args:
        file: where it stands.
        setting: which setting names the file.
        kind: what it is, in a word.

    Raises:
        InvalidSettings: the file cannot be read, or has nothing in its first line.
    """
    where = f"{setting}, {file}"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "it is no text in UTF-8").lower()
        raise InvalidSettings(
            f"cannot be read: {reason}",
            where=where,
            remedy=f"name a file that this user may read, with the {kind} as its first line",
        ) from error
    if not lines or not lines[0]:
        raise InvalidSettings(
            f"has no {kind} in its first line", where=where, remedy=f"write the {kind} there"
        )
    return lines[0]
