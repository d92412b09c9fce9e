"""The disk fails or is full: publishers are told, what was acknowledged is there, it goes on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.torture.broker.disk import Failure, Operation
from ops.torture.broker.injected import Case, injected, permitted
from ops.torture.broker.io_errors import cases, full_disk, io_errors

WAYS = [(operation, failure) for operation in Operation for failure in Failure]


@pytest.mark.slow
@pytest.mark.usefixtures("virtual_disk")
@pytest.mark.parametrize(("operation", "failure"), WAYS)
async def test_whichever_operation_fails_nothing_acknowledged_is_lost(
    tmp_path: Path, seed: int, operation: Operation, failure: Failure
) -> None:
    wanted = [case for case in cases() if (case.operation, case.failure) == (operation, failure)]
    outcome = await io_errors(tmp_path, seed, wanted)
    assert not outcome.breaches
    assert outcome.failures == len(wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [Case("fdatasync", "EIO", 25), Case("pwrite64", "ENOSPC", 25)], ids=str
)
async def test_whichever_call_the_kernel_fails_nothing_acknowledged_is_lost(
    tmp_path: Path, seed: int, case: Case
) -> None:
    if not permitted():
        pytest.skip("strace is missing or may not trace")
    outcome = await injected(tmp_path, seed, case)
    assert not outcome.breaches
    assert outcome.stopped == (case.error == "EIO")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; skips where none may be mounted."""
    (place := tmp_path / "small").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_told_and_once_there_is_space_it_goes_on(
    small: Path, seed: int
) -> None:
    (small / "ballast").write_bytes(bytes(4 * 2**20))
    outcome = await full_disk(small / "broker", small / "ballast", seed)
    assert not outcome.breaches
    assert not outcome.stops
