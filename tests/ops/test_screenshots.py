"""The command that takes pictures of the page."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from bus.portal.pages import PAGES
from ops.screenshots import MOTIFS
from tests.conftest import refuse

COMMAND = [sys.executable, "-m", "ops.screenshots"]
ROOT = Path(__file__).parents[2]


def size(picture: Path) -> tuple[int, int]:
    """Return width and height of a PNG, whose first chunk tells them (PNG, section 11.2.2)."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def run(folder: Path, *arguments: str, path: str = os.environ["PATH"]) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, str(folder), *arguments],
        capture_output=True, text=True, timeout=110, cwd=ROOT, env={**os.environ, "PATH": path},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.slow
def test_pages_of_a_demo_are_taken_in_every_scheme(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        refuse("Chromium is missing: install Debian's package chromium")
    asked = ("--page", "topics", "--page", "node", "--language", "de", "--width", "320")
    code, said = run(tmp_path, *asked)
    assert code == 0, said
    names = {
        f"{page}-de-320-{scheme}.png" for page in ("topics", "node") for scheme in ("light", "dark")
    }
    assert {file.name for file in tmp_path.iterdir()} == names
    for name in names:
        width, height = size(tmp_path / name)
        assert (width, height >= 800) == (320, True)
        assert name in said


@pytest.mark.parametrize(
    ("arguments", "path", "sentence"),
    [
        pytest.param((), "/nowhere", "Chromium is missing", id="no Chromium"),
        pytest.param(("--page", "topic"), "/bin", 'did you mean "topics"?', id="no such page"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], path: str, sentence: str
) -> None:
    folder = tmp_path / "pictures"
    code, said = run(folder, *arguments, path=path)
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said
    assert not folder.exists()


def test_each_page_of_the_menu_is_taken() -> None:
    taken = {motif.path.partition("?")[0] for motif in MOTIFS}
    assert {page.path for page in PAGES} <= taken
