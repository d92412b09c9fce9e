"""All configuration in one place: flags > STADTBUS_* > stadtbus.toml > defaults.

Environment variables are named after the setting's path, with two underscores for each dot:
``broker.listen`` is ``STADTBUS_BROKER__LISTEN``. An unknown name is refused with the nearest known
one. Secrets come from files, never from flags.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bus.errors import InvalidSettings, nearest

PREFIX = "STADTBUS_"
FILE = "stadtbus.toml"

Role = Literal["broker", "registry"]
ROLES: tuple[Role, ...] = ("broker", "registry")

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


def _addresses(value: Any) -> Any:
    return Address.parse(value) if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """Read a list that is written with commas, as flags and environment variables give it."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _principals(value: Any) -> Any:
    """Read principals; a comma counts before ``User:``, as certificates' names have their own."""
    if isinstance(value, str):
        parts = re.split(r"[,;](?=\s*(?:User:|$))", value)
        return tuple(part.strip() for part in parts if part.strip())
    return value


def _are_principals(value: tuple[str, ...]) -> tuple[str, ...]:
    for principal in value:
        if not re.fullmatch(r"User:.+", principal):
            raise ValueError(f'"{principal}" is no principal, such as User:admin')
    return value


class Section(BaseModel):
    """A group of settings; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class BrokerSettings(Section):
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
    max_unpacked_bytes: int = Field(
        default=16 * 2**20,
        ge=2**20,
        description="bytes that the records of one compressed batch may unpack to",
    )
    max_connections: int = Field(default=2000, ge=1, description="open connections in all")
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
    key_file: Path | None = Field(
        default=None, description="the key (PEM) of the broker's certificate"
    )
    client_ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) that a client's certificate must lead to",
    )
    client_certificate: Literal["none", "optional", "required"] = Field(
        default="none",
        description="whether clients are asked for a certificate; with `required` it is their "
        "login, and nobody is asked for a password",
    )
    principal_mapping: str = Field(
        default="DEFAULT",
        description="how the subject of a client's certificate becomes its principal, in the "
        "rules of Kafka's ssl.principal.mapping.rules",
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
    insecure: bool = Field(
        default=False,
        description="let other machines reach the broker without TLS and login",
    )

    _parse = field_validator("listen", "advertise", mode="before")(_addresses)
    _split = field_validator("sasl_mechanisms", mode="before")(_listed)
    _name = field_validator("super_users", mode="before")(_principals)
    _check = field_validator("super_users")(_are_principals)


class RegistrySettings(Section):
    """The schema registry."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=8081),
        description="where the registry role listens; other machines can reach it only with TLS "
        "and a login",
    )
    url: str = Field(
        default="http://127.0.0.1:8081",
        description="where publishers, subscribers and commands find the registry; over https they "
        "log in there with kafka.username and kafka.password_file",
    )
    ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) that the registry's certificate must lead to; "
        "kafka.ca_file if unset",
    )
    certificate_file: Path | None = Field(
        default=None,
        description="the registry's certificate (PEM, with those between it and the CA); with it "
        "the registry speaks TLS, and asks for a login if the engine does",
    )
    key_file: Path | None = Field(
        default=None, description="the key (PEM) of the registry's certificate"
    )
    writers: tuple[str, ...] = Field(
        default=(),
        description="principals that may register schemas and put contracts in force, beside the "
        "super users, comma separated; everybody who can log in may read",
    )
    insecure: bool = Field(
        default=False,
        description="let other machines reach the registry without TLS and login",
    )

    _parse = field_validator("listen", mode="before")(_addresses)
    _name = field_validator("writers", mode="before")(_principals)
    _check = field_validator("writers")(_are_principals)

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
            raise ValueError(f'"{value}" is no address of HTTP, such as http://127.0.0.1:8081')
        return value


class OpsSettings(Section):
    """Metrics and health."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=9464),
        description="where /metrics, /healthz and /readyz are; other machines can reach them only "
        "with TLS and a token",
    )
    certificate_file: Path | None = Field(
        default=None,
        description="the certificate (PEM, with those between it and the CA) for metrics over TLS",
    )
    key_file: Path | None = Field(default=None, description="the key (PEM) of that certificate")
    token_file: Path | None = Field(
        default=None,
        description="a file whose first line is the bearer token that /metrics asks for; /healthz "
        "and /readyz ask for none",
    )
    insecure: bool = Field(
        default=False,
        description="let other machines reach metrics without TLS and token",
    )

    _parse = field_validator("listen", mode="before")(_addresses)


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


class Settings(Section):
    """Everything that can be set."""

    data: Path = Field(
        default=Path("stadtbus-data"), description="the folder that holds all that the node keeps"
    )
    cache: Path | None = Field(
        default=None,
        description="the folder where clients keep schemas, so that a registry that is down stops "
        "nobody; none if unset",
    )
    contracts: Path | None = Field(
        default=None,
        description="the folder of contracts that the registry puts in force when it starts; "
        "those that are shipped if unset",
    )
    broker: BrokerSettings = BrokerSettings()
    registry: RegistrySettings = RegistrySettings()
    ops: OpsSettings = OpsSettings()
    kafka: KafkaSettings = KafkaSettings()


def names(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Yield the path of every setting, such as ``broker.listen``."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        flags: values by path (``{"broker.listen": "127.0.0.1:0"}``); None values are left out.
        environ: the environment; the process's own if None.
        directory: where stadtbus.toml is looked for; the working directory if None.

    Raises:
        InvalidSettings: a name is unknown or a value cannot be used.
    """
    given: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for origin, values in (
        (FILE, _from_file(directory or Path.cwd())),
        ("environment", _from_environment(os.environ if environ is None else environ)),
        ("flags", {k: v for k, v in (flags or {}).items() if v is not None}),
    ):
        for path, value in values.items():
            given[path] = value
            sources[path] = origin
    _refuse_unknown(sources)
    try:
        return Settings(**_nested(given))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise InvalidSettings(
            reason,
            where=_place(path, sources.get(path, "default")),
            remedy=f"set {path} to what it takes: {_description(path)}",
        ) from error


def variable(path: str) -> str:
    """Return the environment variable of a setting's path."""
    return PREFIX + path.upper().replace(".", "__")


def _from_file(directory: Path) -> dict[str, Any]:
    file = directory / FILE
    try:
        text = file.read_text(encoding="utf-8")
        return dict(_flat(tomllib.loads(text)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"cannot be read: {error}", where=str(file)) from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower().replace("__", "."): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }


def _refuse_unknown(sources: Mapping[str, str]) -> None:
    known = list(names())
    for path, origin in sources.items():
        if path in known:
            continue
        given, choices = path, known
        if origin == "environment":
            given, choices = variable(path), [variable(name) for name in known]
        raise InvalidSettings(
            f'unknown setting "{given}"', where=origin, remedy=nearest(given, choices)
        )


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _description(path: str) -> str:
    """Return what a setting is for, in one line."""
    model: Any = Settings
    *parents, last = path.split(".")
    for parent in parents:
        model = model.model_fields[parent].annotation
    return str(model.model_fields[last].description)


def _place(path: str, origin: str) -> str:
    return variable(path) if origin == "environment" else f"{path} ({origin})"
