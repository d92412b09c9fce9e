"""What a run was measured on: the machine, and the versions of all that takes part."""

import os
import platform
import shutil
import sqlite3
import subprocess
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path

import confluent_kafka

from bus import __version__
from ops.kafka.installation import POM

NONE = "none"

_PACKAGES = ("aiokafka", "confluent-kafka", "fastavro", "uvicorn")


def machine() -> dict[str, str]:
    """Return what figures depend on, by what the page calls it."""
    return {
        "CPU": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Stadtbus": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "librdkafka": confluent_kafka.libversion()[0],
        "SQLite": sqlite3.sqlite_version,
        "Apache Kafka": _kafka(),
        "Java": _java(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _kafka() -> str:
    space = {"": "http://maven.apache.org/POM/4.0.0"}
    root = ET.parse(POM).getroot()  # noqa: S314  # our own file
    return root.findtext("properties/kafka.version", default=NONE, namespaces=space)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    if java is None:
        return NONE
    told = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    return told.splitlines()[0] if told else NONE
