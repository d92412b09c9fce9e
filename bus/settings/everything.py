"""Everything that can be set, and the name of each setting."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, PrivateAttr

from bus.settings.broker import BrokerSettings
from bus.settings.kafka import KafkaSettings
from bus.settings.listeners import OpsSettings, PortalSettings, RegistrySettings
from bus.settings.publisher import PublisherSettings
from bus.settings.router import RouterSettings
from bus.settings.values import Section
from bus.settings.watch import WatchSettings


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
    portal: PortalSettings = PortalSettings()
    ops: OpsSettings = OpsSettings()
    watch: WatchSettings = WatchSettings()
    router: RouterSettings = RouterSettings()
    kafka: KafkaSettings = KafkaSettings()
    publisher: PublisherSettings = PublisherSettings()

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def origin(self, path: str) -> str | None:
        """Return where a setting was given (``flags``, a file's name, …); None: nowhere."""
        return self._origins.get(path)

    def given(self, origins: Mapping[str, str]) -> Self:
        """Return these settings, with where each was given that was, by its path."""
        settings = self.model_copy()
        settings._origins = dict(origins)  # noqa: SLF001  # a copy of our own
        return settings


def names(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Yield the path of every setting, such as ``broker.listen``."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
