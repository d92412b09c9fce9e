"""Where the settings in force come from: flags > STADTBUS_* > stadtbus.toml > defaults."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bus.errors import InvalidSettings, nearest
from bus.settings.everything import Settings, names

PREFIX = "STADTBUS_"
FILE = "stadtbus.toml"


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
        return Settings(**_nested(given)).given(sources)
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
