"""All configuration in one place: flags > STADTBUS_* > stadtbus.toml > defaults.

Environment variables are named after the setting's path, with two underscores for each dot:
``broker.listen`` is ``STADTBUS_BROKER__LISTEN``. An unknown name is refused with the nearest known
one. Secrets come from files, never from flags.
"""

from bus.settings.broker import MOST_UNPACKED, BrokerSettings
from bus.settings.everything import Settings, names
from bus.settings.kafka import KafkaSettings
from bus.settings.listeners import (
    HttpSettings,
    ListenerSettings,
    OpenIdSettings,
    OpsSettings,
    PortalSettings,
    RegistrySettings,
)
from bus.settings.loading import FILE, PREFIX, load, variable
from bus.settings.publisher import PublisherSettings
from bus.settings.router import RouterSettings
from bus.settings.values import DEFAULT_ROLES, ROLES, Address, Mechanism, Role, Section, secret
from bus.settings.watch import WatchSettings

__all__ = [
    "DEFAULT_ROLES",
    "FILE",
    "MOST_UNPACKED",
    "PREFIX",
    "ROLES",
    "Address",
    "BrokerSettings",
    "HttpSettings",
    "KafkaSettings",
    "ListenerSettings",
    "Mechanism",
    "OpenIdSettings",
    "OpsSettings",
    "PortalSettings",
    "PublisherSettings",
    "RegistrySettings",
    "Role",
    "RouterSettings",
    "Section",
    "Settings",
    "WatchSettings",
    "load",
    "names",
    "secret",
    "variable",
]
