"""Settings of the router: who it is, and with what it attests."""

from pathlib import Path

from pydantic import Field

from bus.settings.values import Section


class RouterSettings(Section):
    """Carrying events from shared topics to feeds."""

    system: str | None = Field(
        default=None,
        description="the system as which the router signs what it writes to feeds of restricted "
        "contracts; a member attests its key (docs/trust.md). They are not routed without",
    )
    signing_key: Path | None = Field(
        default=None,
        description="the router's private key (PEM); made in the folder router of the data if "
        "unset",
    )
    pseudonym_secret: Path | None = Field(
        default=None,
        description="the file with the secret from which feeds' names for residents follow: at "
        "least 32 random bytes, the same for all routers of a bus and for good; made in the "
        "folder router of the data if unset",
    )
    oldest_hours: int = Field(
        default=7 * 24,
        ge=1,
        description="hours after it was signed in which an event of a restricted contract is taken",
    )
