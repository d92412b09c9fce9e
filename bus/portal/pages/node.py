"""The page of the node: what runs here, in which versions, with which settings."""

import platform
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bus import __version__
from bus.portal.condition import gauge
from bus.portal.page import Page, Query, Sources
from bus.portal.viewer import Role
from bus.settings import Role as NodeRole
from bus.settings import Section, Settings
from bus.telemetry import Telemetry

LIBRARIES = ("aiokafka", "confluent-kafka", "fastavro", "starlette", "uvicorn")

DEFAULT = "default"

_SECRET = re.compile(r"(password|token|key|secret)(_file)?$")
_LOGIN_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting as it is in force.

    Args:
        path: its name.
        value: as it is written; None: unset.
        origin: ``default``, ``stadtbus.toml``, ``environment``, ``flags``; ``node``: the node has
            settled it itself.
        secret: it leads to a secret, so its value is not shown.
        tells: what it is for, in the English of the reference, which catalogues have.
    """

    path: str
    value: str | None
    origin: str
    secret: bool
    tells: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What the page shows.

    Args:
        roles: what the node runs.
        started: when it began, in seconds since 1970.
        versions: programs and libraries.
        data: the node's folder.
        storage_size, storage_free: bytes of the broker's database, and free on its disk; None
            where another node runs the broker.
        given: settings that somebody has set, or the node itself.
        others: settings at their defaults.
    """

    roles: Sequence[NodeRole]
    started: float
    versions: Sequence[tuple[str, str]]
    data: str
    storage_size: float | None
    storage_free: float | None
    given: Sequence[Setting]
    others: Sequence[Setting]


def view(
    settings: Settings, roles: Sequence[NodeRole], telemetry: Telemetry, started: float
) -> NodeView:
    """Return what the page shows.

    Args:
        settings: as they are in force.
        roles: what the node runs.
        telemetry: what it measures of itself.
        started: when it began, in seconds since 1970.
    """
    has_broker = "broker" in roles
    known = list(_settings(settings, settings, ""))
    return NodeView(
        roles=roles,
        started=started,
        versions=_versions(),
        data=str(settings.data.absolute()),
        storage_size=gauge(telemetry, "stadtbus_storage_size_bytes") if has_broker else None,
        storage_free=gauge(telemetry, "stadtbus_storage_free_bytes") if has_broker else None,
        given=[one for one in known if one.origin != DEFAULT],
        others=[one for one in known if one.origin == DEFAULT],
    )


@cache
def _versions() -> Sequence[tuple[str, str]]:
    return (
        ("Stadtbus", __version__),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        (platform.system(), platform.release()),
        *((library, version(library)) for library in LIBRARIES),
    )


def _settings(settings: Settings, section: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        path = f"{prefix}{name}"
        if isinstance(value, Section):
            yield from _settings(settings, value, f"{path}.")
            continue
        secret = bool(_SECRET.search(name))
        yield Setting(
            path=path,
            value=None if value is None or secret else _written(value),
            origin=settings.origin(path) or (DEFAULT if value == field.default else "node"),
            secret=secret and value is not None,
            tells=field.description or "",
        )


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Path):
        return str(value)
    return _LOGIN_IN_ADDRESS.sub("…", str(value))


def _look(sources: Sources, query: Query) -> NodeView:
    return view(sources.settings, sources.roles, sources.telemetry, sources.started)


PAGE = Page(name="node", path="/node", role=Role.ADMINISTRATOR, view=_look)
