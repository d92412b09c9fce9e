"""The example in Java: it signs and checks the same vectors, with the JDK's own Ed25519."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import refuse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "docs" / "wire-signatures.json"
SECONDS = 300.0  # Maven may have to fetch its plugins

CLASSES = "target/classes:target/dependency/*"

Run = Callable[[Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the example on a file of vectors; skips where there is no JDK or no Maven."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if shutil.which("javac") is None or java is None or maven is None:
        refuse("a JDK and Maven are needed: apt install openjdk-17-jdk-headless maven")
    folder = tmp_path_factory.mktemp("java") / "java"
    shutil.copytree(ROOT / "examples" / "java", folder, ignore=shutil.ignore_patterns("target"))
    built = subprocess.run(
        [maven, "--quiet", "--batch-mode", "compile", "dependency:copy-dependencies"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert built.returncode == 0, built.stdout + built.stderr

    def run(vectors: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                java,
                "-cp",
                "target/classes:target/dependency/*",
                "de.stadtbus.example.Vectors",
                vectors,
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    return run


@pytest.mark.timeout(2 * SECONDS)
def test_it_signs_and_checks_what_we_do(example: Run) -> None:
    done = example(VECTORS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" checked, 0 wrong\n")
    assert int(done.stdout.partition(" ")[0]) > 100


@pytest.mark.timeout(2 * SECONDS)
def test_it_notices_what_differs(example: Run, tmp_path: Path) -> None:
    vectors: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    vectors["events"][0]["root"] = "00" * 32
    vectors["refused"][0]["reason"] = "altered"
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text(json.dumps(vectors), encoding="utf-8")
    done = example(spoilt)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "differs: event root",
        "differs: unsigned is refused: unsigned",
    ]
