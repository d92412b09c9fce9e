"""The wheel works outside the repository: contracts and demo data are inside it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT],
        check=True,
        capture_output=True,
    )
    return next(target.glob("*.whl"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    lock = str(ROOT / "requirements.lock")
    subprocess.run([*pip, "--require-hashes", "-r", lock], check=True, cwd=tmp_path)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, cwd=tmp_path)
    done = subprocess.run(
        [environment / "bin" / "stadtbus", "demo", "--for", "5", "-o", "json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["lost"] == 0
    assert summary["acknowledged"] > 0
    assert summary["dead_letters"] == 2
    assert summary["refused"] == 3


@pytest.mark.slow
def test_it_holds_contracts_data_licence_and_types_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "bus/py.typed" in names
    assert "schemas/sensor/reading/v1/contract.yaml" in names
    assert [name for name in names if name.endswith(".csv")]
    assert "bus/trust/data/municipalities.csv" in names
    assert "producers/traffic/data/load_2014-01-15_05-11.csv" in names
    assert "producers/residents/data/ilzer-land.csv" in names
    assert "bus/views/traffic/data/street_segments.geojson" in names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert not [name for name in names if name.startswith(("tests/", "ops/"))]
