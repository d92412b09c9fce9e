"""What others have made is what they have made."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

VENDOR = Path(__file__).parents[2] / "bus" / "portal" / "static" / "vendor"
FILES: list[dict[str, Any]] = tomllib.loads((VENDOR / "vendor.toml").read_text("utf-8"))["file"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["name"])
def test_a_file_is_the_one_that_was_published(file: dict[str, Any]) -> None:
    content = (VENDOR / file["name"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert file["version"]
    licence = (VENDOR / file["licence_file"]).read_text("utf-8")
    assert {"MIT": "MIT License", "0BSD": "Zero-Clause BSD"}[file["licence"]] in licence


def test_nothing_lies_there_unnamed() -> None:
    named = {file["name"] for file in FILES} | {file["licence_file"] for file in FILES}
    assert {path.name for path in VENDOR.iterdir()} == named | {"vendor.toml"}
