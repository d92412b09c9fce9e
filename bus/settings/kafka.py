"""Settings of those who go to an engine."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from bus.errors import InvalidSettings
from bus.settings.values import Address, Mechanism, Section, secret


class KafkaSettings(Section):
    """How clients reach the engine, embedded or Apache Kafka."""

    bootstrap: str = Field(
        default="127.0.0.1:9092", description="the engine's addresses, host:port, comma separated"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Kafka's name for TLS and login on this connection"
    )
    sasl_mechanism: Mechanism = Field(
        default="SCRAM-SHA-512", description="how to log in where security_protocol says SASL"
    )
    username: str | None = Field(default=None, description="the user to log in as")
    password_file: Path | None = Field(
        default=None, description="a file whose first line is the password"
    )
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) that the engine's certificate must lead to"
    )
    certificate_file: Path | None = Field(
        default=None, description="our own certificate (PEM), for engines that ask for one"
    )
    key_file: Path | None = Field(default=None, description="the key (PEM) of our certificate")
    answer_seconds: float = Field(
        default=10.0,
        ge=1.0,
        description="seconds that one broker has for one answer, then another is asked; a little "
        "more than a cluster takes to notice that one hangs",
    )

    replication_factor: int = Field(
        default=-1,
        ge=-1,
        le=32767,
        description="how many brokers keep a copy of each topic that Stadtbus makes; -1 is the "
        "engine's own default",
    )

    @field_validator("replication_factor")
    @classmethod
    def _no_copy_is_no_topic(cls, value: int) -> int:
        if value == 0:
            raise ValueError("a topic without any copy cannot be; -1 is the engine's own default")
        return value

    @field_validator("bootstrap")
    @classmethod
    def _each_is_an_address(cls, value: str) -> str:
        return ",".join(str(Address.parse(part.strip())) for part in value.split(","))

    def login(self) -> tuple[str, str]:
        """Return the user and the password to log in with.

        Raises:
            InvalidSettings: one of them is missing, or the password's file cannot be read.
        """
        if not self.username or self.password_file is None:
            missing = "kafka.password_file" if self.username else "kafka.username"
            raise InvalidSettings(
                f"{self.security_protocol} needs a user and a password",
                where=missing,
                remedy=f"set {missing}, or a kafka.security_protocol without a login",
            )
        return self.username, secret(self.password_file, "kafka.password_file", "password")
