"""Java, Maven and Kafka's jars: found, or fetched once; what is missing is said in a sentence."""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bus.cli.edge import say
from bus.errors import BusError
from ops.kafka.child import complaint, output

POM = Path(__file__).with_name("pom.xml")
JAVA_VERSION = 17
FETCH_SECONDS = 600.0

LIST = "jars.txt"
"""Beside the jars: which ones Maven resolved, so that one that is missing is noticed."""

# What lives for a second is not worth compiling well.
_SHORT_LIVED = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin"

# Whether Java starts at all, and whether Maven does, is told within seconds.
_ASK_SECONDS = 20.0


class Missing(BusError):
    """Something that Apache Kafka needs is not on this machine."""

    code = "BUS-0950"
    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What runs Kafka: a Java executable, a folder of jars, and where their classes lie ready.

    Java maps the classes in the archive into memory instead of loading them one by one, which
    halves what a broker's start costs; without the archive, or with another Java's, it loads them.
    """

    java: str
    jars: Path
    archive: Path

    def command(
        self, main_class: str, *arguments: object, options: tuple[str, ...] = ()
    ) -> list[str]:
        """Return the command line that runs one of Kafka's classes."""
        return [self.java, *options, "-cp", f"{self.jars}/*", main_class, *map(str, arguments)]

    def tool(self, main_class: str, *arguments: object, logging: Path) -> list[str]:
        """Return the command line that runs one of Kafka's tools.

        Args:
            main_class: its class.
            arguments: what it is given.
            logging: log4j2's configuration.
        """
        options = (*_SHORT_LIVED, f"-Dlog4j2.configurationFile={logging}")
        return self.command(main_class, *arguments, options=options)


def missing() -> Missing | None:
    """Return what is missing to run Kafka, or None; nothing is fetched for the answer."""
    try:
        _java()
        if not _complete(jars()):
            _maven()
    except Missing as error:
        return error
    return None


async def installed() -> Installation:
    """Return the installation; fetch the jars if they are not there yet.

    Raises:
        Missing: Java or Maven is missing or too old, or the jars cannot be fetched.
    """
    java, folder = _java(), jars()
    if not _complete(folder):
        await _fetch(_maven(), folder)
    return Installation(java=java, jars=folder, archive=folder.with_suffix(".jsa"))


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    remedy = f"install Java {JAVA_VERSION} or later: apt install openjdk-17-jre-headless"
    found = shutil.which(java)
    if found is None:
        raise Missing("there is no Java", where="JAVA_HOME" if home else "PATH", remedy=remedy)
    told = _told([found, "-version"], found, remedy)
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    if version is None or int(version[1]) < JAVA_VERSION:
        first = told.partition("\n")[0]
        raise Missing(f"this Java is too old: {first}", where=found, remedy=remedy)
    return found


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise Missing(
            f"there is no Maven (mvn) to fetch Kafka's jars into {jars()} with",
            where="PATH",
            remedy="install it: apt install maven",
        )
    return found


def _told(command: list[str], where: str, remedy: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_ASK_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"it does not run: {error}", where=where, remedy=remedy) from error
    return done.stdout


def jars() -> Path:
    """Return where the jars of this pom lie, or would: another pom has another folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    return cache / "stadtbus" / f"kafka-{digest}"


def _has_kafka(folder: Path) -> bool:
    return any(folder.glob("kafka_*.jar"))


def _listed(folder: Path) -> None:
    """Write down which jars there are, and their sizes."""
    lines = [f"{jar.stat().st_size} {jar.name}\n" for jar in sorted(folder.glob("*.jar"))]
    (folder / LIST).write_text("".join(lines), encoding="utf-8")


def _complete(folder: Path) -> bool:
    """Whether all that was fetched once is still there; a jar that is gone is fetched again."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
        wanted = [line.partition(" ") for line in lines]
        return bool(wanted) and all(
            (folder / name).stat().st_size == int(size) for size, _, name in wanted
        )
    except (OSError, ValueError):
        return False


async def _fetch(maven: str, wanted: Path) -> None:
    """Fetch into a folder of its own and rename it: the jars are there whole or not at all."""
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with (wanted.parent / "lock").open("w") as lock:
            await _locked(lock)
            if not _complete(wanted):
                say(f"Fetching Apache Kafka into {wanted}; once, 54 MB ...")
                shutil.rmtree(wanted, ignore_errors=True)
                with tempfile.TemporaryDirectory(dir=wanted.parent) as folder:
                    await _download(maven, Path(folder) / "jars", wanted)
                    _listed(Path(folder) / "jars")
                    (Path(folder) / "jars").rename(wanted)
    except OSError as error:
        raise Missing(
            f"Kafka's jars cannot be kept: {error}",
            where=str(wanted.parent),
            remedy="make the folder writable, or name another in XDG_CACHE_HOME",
        ) from error


async def _locked(lock: TextIO) -> None:
    """Wait until nobody else fetches; a wait that can be ended."""
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.2)


async def _download(maven: str, folder: Path, wanted: Path) -> None:
    command = [maven, "--quiet", "--batch-mode", "--file", str(POM)]
    # By its whole name: to look up a short one is another request, and another kind of failure.
    goal = [f"{_PLUGIN}:copy-dependencies", f"-DoutputDirectory={folder}"]
    try:
        # Maven may be asked from anywhere: nothing of the working folder shall count.
        code, said = await output([*command, *goal], folder=folder.parent, seconds=FETCH_SECONDS)
    except TimeoutError:
        code, said = 1, f"no end after {FETCH_SECONDS:g} s"
    if code or not _has_kafka(folder):
        raise Missing(
            "Maven could not fetch Kafka's jars; most often the network or its repository cannot "
            f"be reached: {complaint(said)[:500]}",
            where=str(wanted),
            remedy="connect this machine to the network, or name a mirror in ~/.m2/settings.xml; "
            "it is needed once, then the jars in that folder are enough",
        )
