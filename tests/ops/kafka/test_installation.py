"""What is not on the machine is named, with how to install it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.kafka import installation
from tests.waiting import until

FETCHES = """for given; do case $given in -DoutputDirectory=*) into=${given#*=};; esac; done
/bin/mkdir -p "$into"
echo classes > "$into/kafka_2.13-4.3.1.jar"
echo classes > "$into/zstd.jar\""""
"""What Maven does, in short."""

JAVA_17 = "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, and a cache with nothing in it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def test_no_java(machine: Path) -> None:
    assert told(installation.missing()) == ("there is no Java", "openjdk-17-jre-headless")


def test_a_java_home_without_java(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(machine))
    found = installation.missing()
    assert found is not None
    assert found.where == "JAVA_HOME"


@pytest.mark.parametrize(
    "version",
    [
        pytest.param('openjdk version "11.0.20" 2023-07-18', id="11"),
        pytest.param('java version "1.8.0_392"', id="8"),
        pytest.param("who knows", id="no version at all"),
    ],
)
def test_a_java_that_is_too_old(machine: Path, version: str) -> None:
    script(machine / "java", f"echo '{version}' >&2")
    what, remedy = told(installation.missing())
    assert what == f"this Java is too old: {version}"
    assert remedy == "openjdk-17-jre-headless"


def test_a_java_that_does_not_run(machine: Path) -> None:
    script(machine / "java", "exit 3")
    assert told(installation.missing())[0].startswith("it does not run")


def test_no_maven(machine: Path) -> None:
    script(machine / "java", JAVA_17)
    what, remedy = told(installation.missing())
    assert "no Maven" in what
    assert remedy == "maven"


async def test_jars_that_are_there_need_no_maven(machine: Path) -> None:
    script(machine / "java", JAVA_17)
    script(machine / "mvn", FETCHES)
    await installation.installed()
    (machine / "mvn").unlink()
    assert installation.missing() is None
    assert (await installation.installed()).jars == installation.jars()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda jar: jar.unlink(), id="gone"),
        pytest.param(lambda jar: jar.write_bytes(b"half"), id="cut off"),
        pytest.param(lambda jar: (jar.parent / "jars.txt").unlink(), id="no list of them"),
    ],
)
async def test_a_jar_that_is_spoilt_is_fetched_again(
    machine: Path, spoil: Callable[[Path], None]
) -> None:
    script(machine / "java", JAVA_17)
    script(machine / "mvn", FETCHES)
    await installation.installed()
    jar = installation.jars() / "zstd.jar"
    whole = jar.read_bytes()
    spoil(jar)
    (machine / "mvn").rename(machine / "elsewhere")
    lacking = installation.missing()
    assert lacking is not None
    assert str(installation.jars()) in lacking.what
    (machine / "elsewhere").rename(machine / "mvn")
    await installation.installed()
    assert jar.read_bytes() == whole


@pytest.mark.parametrize(
    ("does", "cause"),
    [
        pytest.param(
            "echo '[ERROR] Unknown host'; exit 1", "[ERROR] Unknown host", id="no network"
        ),
        pytest.param(
            "printf '\\033[0m\\033[1;31m[ERROR] no plugin\\033[0m'; exit 1",
            ": [ERROR] no plugin",
            id="in colours",
        ),
        pytest.param("exit 0", "it said nothing", id="no jars in spite of success"),
    ],
)
async def test_jars_that_cannot_be_fetched(machine: Path, does: str, cause: str) -> None:
    script(machine / "java", JAVA_17)
    script(machine / "mvn", does)
    with pytest.raises(installation.Missing, match="could not fetch") as refused:
        await installation.installed()
    assert cause in refused.value.what
    assert "network or its repository cannot be reached" in refused.value.what
    assert "\x1b" not in refused.value.what
    assert refused.value.where == str(installation.jars())
    assert "mirror in ~/.m2/settings.xml" in refused.value.remedy
    assert not installation.jars().exists()


def test_another_pom_has_other_jars(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installation.jars()
    other = tmp_path / "pom.xml"
    other.write_text("<project/>", encoding="utf-8")
    monkeypatch.setattr(installation, "POM", other)
    assert installation.jars() != before


def test_a_folder_without_jars_is_none(machine: Path) -> None:
    script(machine / "java", JAVA_17)
    installation.jars().mkdir(parents=True)
    assert "no Maven" in told(installation.missing())[0]


async def test_a_fetch_can_be_ended(machine: Path, tmp_path: Path) -> None:
    """Maven goes with it, and nothing half fetched stays behind."""
    script(machine / "java", JAVA_17)
    script(machine / "mvn", f"echo $$ > {tmp_path}/pid; exec /bin/sleep 60")
    fetching = asyncio.create_task(installation.installed())
    pid = tmp_path / "pid"
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert not runs(pid.read_text().strip())
    assert [entry.name for entry in installation.jars().parent.iterdir()] == ["lock"]


def runs(pid: str) -> bool:
    return Path("/proc", pid).exists()


def script(file: Path, does: str) -> None:
    file.write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
    file.chmod(0o755)


def told(found: installation.Missing | None) -> tuple[str, str]:
    """What is missing, and the Debian package that brings it."""
    assert found is not None
    assert found.exit_code == 2
    return found.what, found.remedy.rpartition(" ")[2]
