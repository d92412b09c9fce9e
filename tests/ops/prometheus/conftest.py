"""A secured node under load, and a real Prometheus that reads it as the shipped file says."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bus.cli.demo.ports import free_port
from bus.security import Folder
from bus.security.clients import Access, hand_out
from bus.security.making import initialise
from bus.settings import load
from ops.node import NodeProcess
from tests.ops.prometheus.programs import program
from tests.town.conftest import NOBODY, PUBLISHER, READINGS, SUBSCRIBER, Town, says

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "ops/prometheus"
MEMBER = "de.mun.092720140140"
PROMISED, DONE = "de.agency.statistik.promised", "de.agency.statistik.done"
DAY = 86_400


@dataclass(slots=True)
class Watched:
    """A node under load, and the Prometheus that reads it."""

    town: Town
    url: str

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives now."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression})
        body = answer.json()
        assert body["status"] == "success", (expression, body)
        return [one for one in body["data"]["result"] if one["value"][1] != "NaN"]

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules as Prometheus has them."""
        groups = httpx.get(f"{self.url}/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory, kcat_there: str) -> Iterator[Town]:
    """A secured node on which programs publish and read, and all that can go wrong did so once."""
    data = tmp_path_factory.mktemp("watched")
    free = {f"{role}.listen": "127.0.0.1:1" for role in ("broker", "registry", "ops")}
    initialise(load({"data": data, **free}, environ={}, directory=data))
    folder = Folder(data)
    with NodeProcess(data, "--roles", "broker,registry") as node, ExitStack() as running:
        town = Town(node, folder, tmp_path_factory.mktemp("users"))
        password = folder.admin_password.read_text().strip()
        administrator = Access(
            bootstrap=node.ready["broker"], registry=node.ready["registry"],
            mechanism="SCRAM-SHA-512", user="admin", password=password, ca=folder.ca.read_text(),
        )  # fmt: skip
        hand_out(administrator, town.of("admin"))
        for user, right in ((PUBLISHER, "--publish"), (SUBSCRIBER, "--subscribe"), (NOBODY, "")):
            rights = (right, READINGS) if right else ()
            added = town.stadtbus("admin", "user", "add", user, "--folder", town.of(user), *rights)
            says(added, 0)
        admit(town)
        misuse(town, kcat_there)
        for user, *arguments in (
            (PUBLISHER, "-m", "producers.counts", "--rate", "20"),
            (SUBSCRIBER, "-m", "consumers.count_report"),
            (SUBSCRIBER, str(Path(__file__).parent / "promising.py"), PROMISED),
            (SUBSCRIBER, str(Path(__file__).parent / "promising.py"), DONE, "once"),
            (SUBSCRIBER, str(Path(__file__).parent / "asking.py")),
        ):
            running.callback(end, begin(town, user, *arguments))
        yield town


def admit(town: Town) -> None:
    """Name a root, which admits a municipality."""
    offices = ("--contact", "bus@town.example", "--privacy", "datenschutz@town.example")
    for command in (
        ("key", "new", "root.key"),
        ("key", "new", "city.key"),
        ("trust", "begin", "--key", "root.pem", "--sign", "root.key"),
        ("member", "admit", MEMBER, "--key", "city.pem", *offices, "--sign", "root.key"),
    ):
        says(town.stadtbus("admin", *command), 0)


def misuse(town: Town, kcat: str) -> None:
    """Have a schema refused, a right denied, and publish what nobody can read."""
    schema = town.stadtbus("admin", "schema", "show", f"{READINGS}-value").stdout
    (town.of("admin") / "good.avsc").write_text(schema)
    (town.of("admin") / "bad.avsc").write_text('{"type": "record", "name": "x", "fields": []}')
    refused = town.stadtbus("admin", "schema", "register", f"{READINGS}-value", "bad.avsc")
    assert refused.returncode != 0
    assert town.stadtbus(NOBODY, "tail", READINGS, "--all", "--end").returncode == 5
    command = [kcat, "-F", "kcat.conf", "-P", "-t", READINGS]
    subprocess.run(command, input=b"not an event", cwd=town.of(PUBLISHER), check=True, timeout=30)


def begin(town: Town, user: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a Python program in a user's folder."""
    quiet = subprocess.DEVNULL
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=town.of(user), stdout=quiet, stderr=quiet)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started."""
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="session")
def kcat_there() -> str:
    """The path of kcat."""
    return program("kcat", "kcat")


@pytest.fixture(scope="session")
def watched(loaded: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Prometheus with the shipped configuration, reading the node each second."""
    place = tmp_path_factory.mktemp("prometheus")
    shutil.copytree(SHIPPED / "rules", place / "rules")
    (place / "scrape").mkdir()
    shutil.copy(loaded.folder.ca, place / "scrape/stadtbus-ca.pem")
    shutil.copy(loaded.folder.token, place / "scrape/stadtbus.token")
    config = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    target = str(loaded.address("ops"))
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    (place / "prometheus.yaml").write_text(yaml.safe_dump(config))
    yesterday(place, target)
    port = free_port(19_090, set())
    process = subprocess.Popen(
        [program("prometheus"), "--config.file=prometheus.yaml", "--storage.tsdb.path=data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        cwd=place,
    )  # fmt: skip
    try:
        wait(lambda: httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200)
        yield Watched(loaded, f"http://127.0.0.1:{port}")
    finally:
        end(process)


def yesterday(place: Path, instance: str) -> None:
    """Give Prometheus a past: an hour of events around this time yesterday."""
    now = int(time.time()) - DAY
    labels = f'job="stadtbus",instance="{instance}",topic="{READINGS}"'
    lines = ["# TYPE stadtbus_appended_records counter"]
    for second in range(-1800, 1800, 10):
        value = f"{(second + 1800) * 26} {now + second}"
        lines.append(f"stadtbus_appended_records_total{{{labels}}} {value}")
    (place / "past.txt").write_text("\n".join([*lines, "# EOF", ""]))
    made = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "past.txt", "data"]
    subprocess.run(made, cwd=place, check=True, capture_output=True, timeout=60)


def wait(condition: Any, seconds: float = 60.0) -> None:
    """Wait until a condition holds; what cannot be reached yet does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.1)
