"""The code in the README runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.node import NodeProcess

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code(heading: str) -> str:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return str(block)


@pytest.mark.parametrize("heading", ["Publish", "Subscribe"])
def test_it_takes_ten_lines(heading: str) -> None:
    lines = [line for line in code(heading).splitlines() if line.strip()]
    assert len(lines) <= 10


def test_what_one_publishes_the_other_receives_until_it_stops(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:

        def run(heading: str) -> str:
            return subprocess.run(
                [sys.executable, "-c", code(heading)],
                env=node.environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout

        for _ in range(2):
            assert "topic='sensor.reading.v1'" in run("Publish")
        received = run("Subscribe")
    assert received == "urn:stadtbus:de.mun.055150000000.zaehlstellen 100031297 27.0\n"


def test_every_page_that_it_names_is_there() -> None:
    pages = set(re.findall(r"\]\(((?:docs/)?[\w.-]+)\)", README))
    assert pages >= {"docs/wire.md", "DESIGN.md"}
    assert [page for page in pages if not (ROOT / page).exists()] == []
