"""`make` on a machine that lacks something says what to install."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

NO_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1 ;; esac
"""
TOO_OLD = """#!/bin/sh
case "$1" in --version) echo Python 3.9.2 ;; -c) exit 1 ;; esac
"""


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param(NO_VENV, "apt install python3-venv", id="venv module missing"),
        pytest.param(TOO_OLD, "needs Python 3.11 or later; this is Python 3.9.2", id="too old"),
        pytest.param(None, "There is no", id="no Python at all"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, script: str | None, sentence: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for lock in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / lock, tmp_path)
    python = tmp_path / "fake-python"
    if script is not None:
        python.write_text(script)
        python.chmod(0o755)
    for target in ("demo", "test", "check", "lint", "bench", "torture"):
        done = subprocess.run(
            ["make", "-C", tmp_path, target, f"PYTHON={python}"], capture_output=True, text=True
        )
        assert done.returncode != 0
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / ".venv").exists()
