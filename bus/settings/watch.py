"""Settings of what watches over the bus."""

from pydantic import Field

from bus.settings.values import Section


class WatchSettings(Section):
    """Looking after the whole bus."""

    canary: bool = Field(
        default=True,
        description="whether the node sends an event of its own each second and measures how long "
        "it takes to a handler; on the topic and in a group of the bus's own",
    )
