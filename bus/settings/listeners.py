"""Settings of what listens: how it is protected, and what strangers can take of it."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from bus.principals import PrincipalMapping
from bus.settings.values import Address, Section, addresses, are_principals, listed, principals

_ISSUER = r"https://[^\s?#@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s?#]*)?"
"""A provider is asked over TLS, if it is not on this machine (OpenID Connect Core, 16.17)."""


class ListenerSettings(Section):
    """What every listener has."""

    listen: Address
    certificate_file: Path | None = Field(
        default=None,
        description="the listener's certificate (PEM, with those between it and the CA); with it "
        "the listener speaks TLS",
    )
    key_file: Path | None = Field(default=None, description="the key (PEM) of that certificate")
    client_ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) that a client's certificate must lead to",
    )
    client_certificate: Literal["none", "optional", "required"] = Field(
        default="none",
        description="whether clients are asked for a certificate, which is their login then; with "
        "`required` nobody is asked for anything else",
    )
    principal_mapping: str = Field(
        default="DEFAULT",
        description="how the subject of a client's certificate becomes its principal, in the "
        "rules of Kafka's ssl.principal.mapping.rules",
    )
    max_connections: int = Field(
        default=512,
        ge=1,
        description="open connections in all; fewer where the system allows few open files",
    )
    max_connections_per_address: int = Field(
        default=256, ge=1, description="open connections from one address"
    )
    handshake_seconds: float = Field(
        default=10.0,
        gt=0,
        description="seconds within which TLS has to be agreed on; half as many connections as "
        "there may be can be about it",
    )
    insecure: bool = Field(
        default=False,
        description="let other machines reach the listener whatever it lacks",
    )

    _parse = field_validator("listen", mode="before")(addresses)

    @field_validator("principal_mapping")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        PrincipalMapping(value)
        return value


class HttpSettings(ListenerSettings):
    """What every listener of HTTP has."""

    idle_seconds: float = Field(
        default=10.0,
        gt=0,
        description="seconds within which a request's header has to come, from when the "
        "connection is free for it",
    )
    stalled_seconds: float = Field(
        default=30.0,
        gt=0,
        description="seconds within which the rest of a request has to come, and within which "
        "something has to be taken of an answer that waits",
    )


class RegistrySettings(HttpSettings):
    """The schema registry."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=8081),
        description="where the registry role listens; other machines can reach it only with TLS "
        "and a login",
    )
    url: str = Field(
        default="http://127.0.0.1:8081",
        description="where publishers, subscribers and commands find the registry; over https they "
        "log in there with kafka.username and kafka.password_file, or with kafka.certificate_file",
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
    writers: tuple[str, ...] = Field(
        default=(),
        description="principals that may register schemas and put contracts in force, beside the "
        "super users, comma separated; everybody who can log in may read",
    )

    _name = field_validator("writers", mode="before")(principals)
    _check = field_validator("writers")(are_principals)

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
            raise ValueError(f'"{value}" is no address of HTTP, such as http://127.0.0.1:8081')
        return value


class OpenIdSettings(Section):
    """Logging in to the portal by a provider of identities (OpenID Connect)."""

    issuer: str | None = Field(
        default=None,
        description="the provider's address as it calls itself, such as "
        "https://login.town.example/realms/town; nobody logs in that way if unset",
    )
    client_id: str | None = Field(default=None, description="what the provider knows the portal by")
    client_secret_file: Path | None = Field(
        default=None,
        description="a file whose first line is the portal's secret at the provider; none if the "
        "provider takes it for a public client, which PKCE alone protects",
    )
    client_authentication: Literal["client_secret_basic", "client_secret_post"] = Field(
        default="client_secret_basic", description="how the provider wants to be shown the secret"
    )
    ca_file: Path | None = Field(
        default=None,
        description="certificates (PEM) that the provider's must lead to; the system's if unset",
    )
    scopes: tuple[str, ...] = Field(
        default=("openid", "profile", "email"),
        description="what the provider is asked to tell, comma separated",
    )
    name_claim: str = Field(
        default="preferred_username", description="the claim that people are shown by"
    )
    roles_claim: str = Field(
        default="groups",
        description="the claim that lists somebody's groups or roles, such as realm_access.roles",
    )
    viewers: tuple[str, ...] = Field(
        default=(), description="groups whose members may look at pages, comma separated"
    )
    operators: tuple[str, ...] = Field(
        default=(), description="groups whose members may operate the bus, comma separated"
    )
    administrators: tuple[str, ...] = Field(
        default=(), description="groups whose members may do everything, comma separated"
    )
    clock_skew_seconds: float = Field(
        default=60.0,
        ge=0,
        le=300,
        description="seconds that the provider's clock may differ from this machine's",
    )

    _list = field_validator("scopes", "viewers", "operators", "administrators", mode="before")(
        listed
    )

    @field_validator("issuer")
    @classmethod
    def _is_protected(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_ISSUER, value):
            raise ValueError(
                f'"{value}" is no address of https, such as https://login.town.example'
            )
        return value

    @field_validator("scopes")
    @classmethod
    def _is_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError("without the scope openid the provider tells nobody's name")
        return value


class PortalSettings(HttpSettings):
    """The pages that operators look at."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=8080),
        description="where the portal role listens, for browsers; other machines can reach it only "
        "with TLS and a login",
    )
    login: Literal["elsewhere", "always"] = Field(
        default="elsewhere",
        description="who has to log in: all but who sits at this machine, or, as behind a proxy, "
        "everybody",
    )
    url: str | None = Field(
        default=None,
        description="how browsers address the portal, such as https://bus.town.example; needed for "
        "OpenID Connect, and behind a proxy",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto "
        "are believed, comma separated; behind one that is not named here, all readers have its "
        "address",
    )
    session_idle_seconds: float = Field(
        default=3600.0, gt=0, description="seconds without a click after which a login ends"
    )
    session_seconds: float = Field(
        default=43200.0, gt=0, description="seconds after which a login ends in any case"
    )
    oidc: OpenIdSettings = OpenIdSettings()
    max_streams: int = Field(
        default=100,
        ge=1,
        description="pages that are kept up to date at a time, at most half as many as there may "
        "be connections; others are told what is new every few seconds, and each has its minute",
    )

    _proxies = field_validator("trusted_proxies", mode="before")(listed)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(
                    f'"{network}" is no address or network, such as 10.1.2.3 or 10.1.0.0/16'
                ) from error
        return value

    @field_validator("url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/\s?#@]+/?", value):
            raise ValueError(f'"{value}" is no address like https://bus.town.example')
        return value.rstrip("/") if value else None


class OpsSettings(HttpSettings):
    """Metrics and health."""

    listen: Address = Field(
        default=Address(host="127.0.0.1", port=9464),
        description="where /metrics, /healthz and /readyz are; other machines can reach them only "
        "with TLS and a token, or a client's certificate",
    )
    token_file: Path | None = Field(
        default=None,
        description="a file whose first line is the bearer token that /metrics asks for; /healthz "
        "and /readyz ask for none",
    )
    readers: tuple[str, ...] = Field(
        default=(),
        description="principals that may read /metrics by their certificate, beside the super "
        "users, comma separated; whoever has the token may, too",
    )

    _name = field_validator("readers", mode="before")(principals)
    _check = field_validator("readers")(are_principals)
