"""Requests and batches with changed bytes: refused, in no time, without memory, harming nobody."""

from pathlib import Path

import pytest

from ops.torture.broker.hostile import parse, send

PARSED, SENT = 100_000, 2000


@pytest.mark.slow
def test_whatever_the_parser_is_given_it_reads_or_refuses_it(seed: int) -> None:
    outcome = parse(seed, PARSED)
    assert not outcome.breaches
    assert 0 < outcome.accepted < PARSED / 2


@pytest.mark.slow
async def test_whatever_a_client_sends_others_are_served(tmp_path: Path, seed: int) -> None:
    outcome = await send(tmp_path, seed, SENT)
    print(outcome)  # noqa: T201  # how long the others waited
    assert not outcome.breaches
