"""What users import is a short list that changes only on purpose."""

import subprocess
import sys

import bus


def test_the_front_door() -> None:
    assert bus.__all__ == [
        "BadEvent",
        "Event",
        "Inbox",
        "Publisher",
        "Settings",
        "Subscriber",
        "load",
    ]
    assert all(getattr(bus, name).__module__.startswith("bus.") for name in bus.__all__)


def test_importing_it_loads_no_client_library() -> None:
    code = "import bus, sys; print([m for m in ('aiokafka', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
