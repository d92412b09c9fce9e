"""Programs that Debian has packages for."""

import shutil

from tests.conftest import refuse


def program(name: str, package: str = "prometheus") -> str:
    """Return the path of a program; skips where it is missing, and fails there in CI."""
    found = shutil.which(name)
    if found is None:
        refuse(f"{name} is missing: install Debian's package {package}")
    return found
