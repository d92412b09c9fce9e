"""Units, container file and compose files name what there is."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bus.cli.app import app
from bus.cli.serve import chosen_roles
from bus.portal.security.making import first_administrator
from bus.security import asks_who, in_force, refuse_open_listeners
from bus.security.making import initialise
from bus.settings import Role, Settings, load
from tests.conftest import refuse

OPS = Path(__file__).parents[2] / "ops"
UNITS = sorted([*(OPS / "systemd").glob("*.service"), *(OPS / "systemd").glob("*.timer")])
COMPOSED = [OPS / "compose.yaml", OPS / "compose.kafka.yaml"]


def understood(arguments: list[str]) -> dict[str, Any]:
    """Assert that the command line takes these arguments, and return them; nothing is run."""
    command: Any = typer.main.get_command(app)
    while arguments and (inner := getattr(command, "commands", {}).get(arguments[0])):
        command, arguments = inner, arguments[1:]
    found: dict[str, Any] = command.make_context("stadtbus", list(arguments)).params
    return found


def roles_of(arguments: list[str]) -> tuple[Role, ...]:
    """Return the roles that `stadtbus serve` would run."""
    given = understood(arguments)
    return chosen_roles(given["roles"], external=given["kafka"] is not None)


def settings_of(arguments: list[str], data: Path) -> Settings:
    """Return the settings that `stadtbus serve` would have, with its data elsewhere."""
    given = understood(arguments)
    listeners = ("broker_listen", "registry_listen", "portal_listen", "ops_listen")
    flags = {name.replace("_", "."): given[name] for name in (*listeners, "broker_advertise")}
    opened = {f"{name.partition('_')[0]}.insecure": given["insecure"] or None for name in listeners}
    known = {"data": data, "kafka.bootstrap": given["kafka"]}
    return load({**known, **flags, **opened}, environ={}, directory=data)


def serving() -> Iterator[tuple[str, list[str], bool]]:
    """Yield what starts a node: its name, its arguments, whether it has the host's loopback."""
    for file in COMPOSED:
        for name, one in services(file).items():
            if is_node(one):
                yield f"{file.name} {name}", one["command"], one.get("network_mode") == "host"
    for unit in sorted((OPS / "systemd").iterdir()):
        text = unit.read_text(encoding="utf-8")
        for start in re.findall(r"^ExecStart=\S+ (serve .*)$", text, re.MULTILINE):
            yield unit.name, start.split(), True


def is_node(service: dict[str, Any]) -> bool:
    """Whether a service of a compose file is a node."""
    return service.get("image") == "stadtbus:local" and "entrypoint" not in service


def services(file: Path) -> dict[str, dict[str, Any]]:
    """Return the services of a compose file, as they are with what they extend."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    for service in found.values():
        if other := service.pop("extends", None):
            service.update(services(OPS / other["file"])[other["service"]])
    return found


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        refuse("systemd-analyze is missing: install Debian's package systemd")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/stadtbus/bin/stadtbus", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", sorted((OPS / "systemd").iterdir()), ids=lambda unit: unit.name)
def test_units_start_what_there_is(unit: Path) -> None:
    starts = re.findall(r"^ExecStart=(\S.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(starts) == (0 if unit.suffix == ".timer" else 1)
    for start in starts:
        program, *arguments = start.split()
        assert program == "/opt/stadtbus/bin/stadtbus"
        understood(arguments)


@pytest.mark.parametrize("file", COMPOSED, ids=lambda file: file.name)
def test_compose_files_start_and_mount_what_there_is(file: Path) -> None:
    found = services(file)
    for service in found.values():
        if is_node(service):
            understood(service["command"])
        for mounted in service.get("volumes", ()):
            source = mounted.split(":")[0]
            assert not source.startswith(".") or (OPS / source).exists(), source
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "for this machine alone"
    assert "network_mode" in found["prometheus"], "it reads the loopback of another's namespace"


WITH_PAGE = [one for one in serving() if "portal" in roles_of(one[1])]


def test_there_is_a_page_wherever_there_is_a_node() -> None:
    places = {name.partition(" ")[0] for name, _, _ in serving()}
    assert {name.partition(" ")[0] for name, _, _ in WITH_PAGE} == places
    assert places == {
        "compose.yaml", "compose.kafka.yaml", "stadtbus.service", "stadtbus-on-kafka.conf"
    }  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "host"), WITH_PAGE)
def test_the_page_is_reached_with_tls_and_login_or_from_the_loopback(
    name: str, arguments: list[str], host: bool, tmp_path: Path
) -> None:
    settings = settings_of(arguments, tmp_path)
    assert not settings.portal.insecure
    if settings.portal.listen.is_loopback:
        assert host, "nobody reaches the loopback of a container"
        return
    assert understood(arguments)["init_security"]
    initialise(settings)
    assert list(first_administrator(settings)), "somebody can log in"
    secured = in_force(settings)
    assert refuse_open_listeners(secured, (*roles_of(arguments), "ops")) == []
    assert asks_who(secured)


def test_the_container_has_no_rights_and_all_that_is_copied() -> None:
    lines = (OPS / "container/Containerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (OPS.parent / source).exists(), source
