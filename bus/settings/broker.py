"""Settings of the embedded broker."""

from pathlib import Path

from pydantic import Field, field_validator

from bus.settings.listeners import ListenerSettings
from bus.settings.values import (
    Address,
    Mechanism,
    addresses,
    are_principals,
    listed,
    principals,
)

MOST_UNPACKED = 64 * 2**20
"""Bytes that a stored batch is unpacked to again, at the most."""


class BrokerSettings(ListenerSettings):
    """The embedded broker."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=9092),
        description="where the embedded broker listens; other machines can reach it only with TLS",
    )
    advertise: Address | None = Field(
        default=None,
        description="the address that clients are told to connect to; the listener's own if unset",
    )
    max_frame_bytes: int = Field(
        default=100 * 2**20, ge=2**20, description="largest request that is read, in bytes"
    )
    max_batch_bytes: int = Field(
        default=1_048_588,
        ge=1024,
        description="largest record batch of a topic without max.message.bytes, in bytes",
    )
    max_batch_records: int = Field(
        default=100_000,
        ge=1,
        description="records of one batch at most; each is looked at, while all others wait",
    )
    max_unpacked_bytes: int = Field(
        default=16 * 2**20,
        ge=2**20,
        le=MOST_UNPACKED,
        description="bytes that the records of one compressed batch may unpack to; at most 64 MiB, "
        "as no more is unpacked again to compact them or to find a time in them",
    )
    max_connections: int = Field(
        default=2000,
        ge=1,
        description="open connections in all; fewer where the system allows few open files",
    )
    max_connections_per_address: int = Field(
        default=1000, ge=1, description="open connections from one address"
    )
    max_requests_in_flight: int = Field(
        default=1000,
        ge=1,
        description="requests to write that are under way at a time, of one user; of one "
        "connection where nobody logs in",
    )
    max_bytes_in_flight: int = Field(
        default=16 * 2**20,
        ge=2**20,
        description="bytes of the requests to write that are under way at a time, and of large "
        "ones that are being read, of one user; of one connection where nobody logs in",
    )
    request_memory_bytes: int = Field(
        default=256 * 2**20,
        ge=2**20,
        description="memory for all requests that are read or under way, in bytes; who sends more "
        "waits",
    )
    fetch_memory_bytes: int = Field(
        default=64 * 2**20,
        ge=2**20,
        description="memory for all answers to fetches that clients have not taken yet, in bytes; "
        "as it fills, answers become smaller, then they wait",
    )
    group_memory_bytes: int = Field(
        default=128 * 2**20,
        ge=2**20,
        description="memory for what members of all groups say and are told, in bytes; members of "
        "one user take no more than a quarter of it",
    )
    fetch_max_bytes: int = Field(
        default=4 * 2**20, ge=2**16, description="largest answer to one fetch, in bytes"
    )
    idle_seconds: float = Field(
        default=600.0,
        gt=0,
        description="seconds after which a connection is closed on which nothing was asked",
    )
    stalled_seconds: float = Field(
        default=30.0,
        gt=0,
        description="seconds after which a connection is closed whose client takes nothing of its "
        "answer, or sends no more of its request",
    )
    quota_requests: float = Field(
        default=0.0, ge=0, description="requests a second of one user; 0 is no limit"
    )
    quota_produce_bytes: float = Field(
        default=0.0, ge=0, description="bytes a second that one user may write; 0 is no limit"
    )
    quota_fetch_bytes: float = Field(
        default=0.0, ge=0, description="bytes a second that one user may read; 0 is no limit"
    )
    tail_cache_bytes: int = Field(
        default=64 * 2**20, ge=0, description="newest batches kept in memory, in bytes"
    )
    min_free_bytes: int = Field(
        default=64 * 2**20,
        ge=0,
        description="free disk space below which publishers get a retriable error, in bytes",
    )
    retention_ms: int = Field(
        default=604_800_000,
        ge=-1,
        description="how long topics without retention.ms keep their records, in milliseconds; "
        "-1 is for ever",
    )
    positions_retention_seconds: float = Field(
        default=604_800.0,
        gt=0,
        description="how long a group's positions are kept once it has no members, in seconds",
    )
    transaction_max_timeout_ms: int = Field(
        default=900_000,
        ge=1,
        le=2**31 - 1,
        description="the longest time that a producer may have for a transaction, in milliseconds",
    )
    transactional_id_expiration_ms: int = Field(
        default=604_800_000,
        ge=1,
        le=2**31 - 1,
        description="how long a transactional id that is not used is kept, in milliseconds",
    )
    overwrite_deleted: bool = Field(
        default=True,
        description="overwrite what is deleted, so that within a minute it is in no file of the "
        "broker any more; deleting takes longer",
    )
    certificate_file: Path | None = Field(
        default=None,
        description="the broker's certificate (PEM, with those between it and the CA); TLS, login "
        "and rules are in force as soon as it is set",
    )
    sasl_mechanisms: tuple[Mechanism, ...] = Field(
        default=("SCRAM-SHA-512",),
        description="how users may log in, comma separated: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN; "
        "nobody can if it is empty",
    )
    super_users: tuple[str, ...] = Field(
        default=(),
        description="principals that may do everything, comma separated, such as `User:admin`",
    )
    reauthenticate_seconds: int = Field(
        default=0,
        ge=0,
        description="seconds after which a client must log in again on an open connection; "
        "0 is never",
    )

    _place = field_validator("advertise", mode="before")(addresses)
    _split = field_validator("sasl_mechanisms", mode="before")(listed)
    _name = field_validator("super_users", mode="before")(principals)
    _check = field_validator("super_users")(are_principals)
