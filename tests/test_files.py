"""What reaches the disk, and when."""

import os
from pathlib import Path

import pytest

from bus.files import sync


def test_names_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(opened_as(opened)))
    sync(tmp_path)
    assert synced == [tmp_path]


def opened_as(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()
