"""The demo's ports: whatever is taken, also between the look for it and listening on it."""

import socket
from pathlib import Path

import pytest

from bus.cli.demo import ports, show
from bus.cli.demo.ports import free_port
from bus.errors import AddressInUse
from bus.settings import variable

OPTIONS = {"rate": 1.0, "seed": 1, "reset": False, "kafka": None, "json": True, "seconds": 0.0}


def options(folder: Path) -> show.Options:
    return show.Options(data=folder, **OPTIONS)  # type: ignore[arg-type]


def test_the_next_free_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert free_port(port, {port + 1}) > port + 1


def test_it_listens_where_somebody_has_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags of the demo have no ports, so the environment goes before what is usual."""
    monkeypatch.setenv(variable("portal.listen"), "127.0.0.2:18080")
    monkeypatch.setenv(variable("registry.listen"), "0.0.0.0:18081")
    monkeypatch.setenv(variable("ops.listen"), "127.0.0.1:0")
    settings, moved = ports.place(tmp_path, None)
    assert str(settings.portal.listen) == "127.0.0.2:18080"
    assert str(settings.registry.listen) == "0.0.0.0:18081"
    assert settings.registry.url == "http://127.0.0.1:18081"
    assert settings.ops.listen.port >= ports.USUAL_PORTS["ops"]
    assert moved.keys() <= {"broker", "ops"}


def test_what_somebody_has_said_is_not_given_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable("ops.listen"), f"127.0.0.1:{ports.USUAL_PORTS['portal']}")
    settings, moved = ports.place(tmp_path, None)
    assert settings.ops.listen.port == ports.USUAL_PORTS["portal"]
    assert moved["portal"] == settings.portal.listen.port != settings.ops.listen.port


async def test_a_port_that_is_taken_meanwhile_makes_it_look_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        looked: list[int] = []

        def first_a_busy_one(usual: int, taken: set[int]) -> int:
            looked.append(usual)
            return busy.getsockname()[1] if len(looked) == 1 else free_port(usual, taken)

        monkeypatch.setattr(ports, "free_port", first_a_busy_one)
        async with show.started(options(tmp_path)) as (node, _):
            assert node.ready.registry
    assert looked == list(ports.USUAL_PORTS.values()) * 2


async def test_who_never_gets_a_port_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        monkeypatch.setattr(ports, "free_port", lambda usual, taken: busy.getsockname()[1])
        with pytest.raises(AddressInUse):
            async with show.started(options(tmp_path)):
                pass
