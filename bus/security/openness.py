"""Which listeners others could reach without TLS or login."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bus.errors import InvalidSettings, StorageUnusable
from bus.listen import refuse_open
from bus.settings import KafkaSettings, Settings

LOGINS = "logins.db"
"""In the data folder: local users of the portal, and who has logged in."""

FIRST_USER = "make a user by `stadtbus portal user add NAME --role administrator`"

NO_TLS, NO_LOGIN, NO_TOKEN = "no TLS", "no login", "no token"  # words for people


def lacking(settings: Settings, listener: str, *, embedded: bool) -> tuple[str, ...]:
    """Return what a listener lacks for other machines to reach it; nothing if it is protected.

    Args:
        settings: as `in_force` returns them.
        listener: ``broker``, ``registry``, ``portal`` or ``ops``.
        embedded: the node runs the embedded broker, by which the registry's users log in.
    """
    section = getattr(settings, listener)
    missing = [] if section.certificate_file else [NO_TLS]
    if listener == "portal":
        return tuple(missing if logs_in(settings) else [*missing, NO_LOGIN])
    if listener != "broker" and section.certificate_file and section.client_certificate != "none":
        return ()  # who shows no certificate needs another login, or is refused
    if listener == "ops":
        return tuple(missing if section.token_file else [*missing, NO_TOKEN])
    if listener == "broker" or embedded:
        asked = _broker_asks(settings, by_certificate=listener == "broker")
    else:
        asked = asks_for_password(settings.kafka)
    return tuple(missing if asked else [*missing, NO_LOGIN])


def logs_in(settings: Settings) -> bool:
    """Whether somebody could log in to the portal: by a provider, or as a local user."""
    return settings.portal.oidc.issuer is not None or _has_users(settings.data / LOGINS)


def asks_who(settings: Settings) -> bool:
    """Whether the portal asks its readers who they are.

    Raises:
        InvalidSettings: it shall, and nobody could say so.
    """
    portal, possible = settings.portal, logs_in(settings)
    if portal.login == "always" and not possible:
        raise InvalidSettings(
            "everybody has to log in to the portal, and nobody can",
            where="portal.login",
            remedy=f"{FIRST_USER}, or set portal.oidc.issuer",
        )
    return possible and (portal.login == "always" or not portal.listen.is_loopback)


def _has_users(file: Path) -> bool:
    """Whether the database of the portal's logins has a local user; one that is not there has none.

    Raises:
        StorageUnusable: it cannot be read.
    """
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            return opened.execute("select 1 from user limit 1").fetchone() is not None
    except sqlite3.Error as error:
        raise StorageUnusable(
            f"who may log in to the portal cannot be read: {error}",
            where=str(file),
            remedy="let this user read and write the file, or bring it back from a backup",
        ) from error


def asks_for_password(kafka: KafkaSettings) -> bool:
    """Whether an engine knows users by their passwords, so that the registry can ask it."""
    return kafka.security_protocol.startswith("SASL")


def _broker_asks(settings: Settings, *, by_certificate: bool) -> bool:
    broker = settings.broker
    if broker.certificate_file is None:
        return False  # login and rules are in force with TLS alone
    if broker.client_certificate == "required":
        return by_certificate
    return bool(broker.sasl_mechanisms)


def refuse_open_listeners(settings: Settings, listeners: Sequence[str]) -> list[str]:
    """Refuse what others could reach unprotected; return what is open by somebody's word.

    Args:
        settings: as `in_force` returns them.
        listeners: those that the node would have.

    Returns:
        A sentence for each listener that is open to everybody.

    Raises:
        InvalidSettings: a listener is open and nobody said so, or clients could not be told
            where to go.
    """
    embedded, opened = "broker" in listeners, []
    for name in listeners:
        section = getattr(settings, name)
        missing = lacking(settings, name, embedded=embedded)
        refuse_open(section.listen, f"{name}.listen", lacking=missing, insecure=section.insecure)
        if missing and not section.listen.is_loopback:
            said = " and ".join(missing)
            opened.append(f"{name}.listen {section.listen} is open to everybody: it has {said}")
    if embedded and settings.broker.listen.is_everywhere and settings.broker.advertise is None:
        raise InvalidSettings(
            f"clients would be told to go to {settings.broker.listen}, which is no place",
            where="broker.advertise",
            remedy="name the host that clients reach by --broker-advertise HOST:PORT",
        )
    return opened
