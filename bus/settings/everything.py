"""Everything that can be set, and the name of each setting."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from bus.settings.broker import BrokerSettings
from bus.settings.kafka import KafkaSettings
from bus.settings.listeners import OpsSettings, RegistrySettings
from bus.settings.values import Section


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
