"""Contracts from their folders, ``<domain>/<event>/v<major>``."""

import json
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from bus.contracts.contract import Contract
from bus.contracts.rules import Places, arguments, check
from bus.errors import InvalidContract


def load_all(path: Traversable | None = None) -> tuple[Contract, ...]:
    """Return all contracts below a folder, in the order of their topics.

    Args:
        path: a folder of ``<domain>/<event>/v<major>``; the contracts that are shipped if None.

    Raises:
        InvalidContract: one of them breaks a rule, or there is none.
    """
    root = resources.files("schemas") if path is None else path
    found = [load_folder(folder) for folder in _folders(root)]
    if not found:
        raise InvalidContract("there is no contract in it", where=str(root))
    return tuple(sorted(found, key=lambda contract: contract.topic))


def _folders(root: Traversable) -> Iterator[Traversable]:
    if not root.is_dir():
        raise InvalidContract("there is no such folder", where=str(root))
    for domain in _below(root):
        for event in _below(domain):
            for version in _below(event):
                if (version / "contract.yaml").is_file():
                    yield version


def _below(folder: Traversable) -> list[Traversable]:
    inside = [entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "._"]
    return sorted(inside, key=lambda entry: entry.name)


def load_folder(path: Traversable) -> Contract:
    """Return the contract in a folder.

    Raises:
        InvalidContract: a rule is broken; `where` names the file and the place in it.
    """
    file = path / "contract.yaml"
    value = _yaml(file)
    for name in ("topic", "versions", "examples", "schema_ids"):
        if name in value:
            raise InvalidContract(f"{name} comes from the folder, not from here", where=str(file))
    parts = str(path).replace("\\", "/").rstrip("/").split("/")[-3:]
    value |= {
        "topic": ".".join(parts),
        "versions": list(_versions(path)),
        "examples": dict(_examples(path)),
    }
    contract = Contract(**arguments(value, str(file)))
    check(contract, Places(str(file), f"{path}/{{}}.avsc", f"{path}/examples/{{}}.json"))
    return contract


def _yaml(file: Traversable) -> dict[str, Any]:
    try:
        value = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe loader
    except FileNotFoundError:
        raise InvalidContract("the file is missing", where=str(file)) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidContract(f"cannot be read: {error}", where=str(file)) from error
    if not isinstance(value, dict):
        raise InvalidContract("is no mapping of names to values", where=str(file))
    return value


class _Loader(yaml.SafeLoader):
    """YAML's plain types only, and no name twice in one mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise yaml.YAMLError(f"{', '.join(sorted(twice))} is there twice")
        return super().construct_mapping(node, deep)


def _versions(path: Traversable) -> Iterator[Any]:
    files = {entry.name: entry for entry in path.iterdir() if entry.name.endswith(".avsc")}
    for number in range(1, len(files) + 1):
        if f"{number}.avsc" not in files:
            raise InvalidContract(
                f"{number}.avsc is missing; versions count from 1 without gaps", where=str(path)
            )
        yield _json(files[f"{number}.avsc"])


def _examples(path: Traversable) -> Iterator[tuple[str, Any]]:
    folder = path / "examples"
    if folder.is_dir():
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".json"):
                yield entry.name.removesuffix(".json"), _json(entry)


def _json(file: Traversable) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidContract(f"cannot be read: {error}", where=str(file)) from error
