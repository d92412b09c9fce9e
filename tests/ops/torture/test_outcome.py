"""What a failover campaign says at its end, and whether that is success."""

import pytest

from ops.torture.failover import Outcome, Struck
from ops.torture.judgement import Breach, Promise
from ops.torture.rounds import Fault, Round, Target
from ops.torture.scene import Findings

ROUND = Struck(round=Round(fault=Fault.KILL, target=Target.LEADER), broker=1, events=2, journal=3)
BROKEN = Breach(promise=Promise.LOST, place="topic", what="a 1")


@pytest.mark.parametrize(
    ("rounds", "breaches", "kept"),
    [
        pytest.param((ROUND,), (), True, id="a round, and nothing broken"),
        pytest.param((ROUND,), (BROKEN,), False, id="a promise broken"),
        pytest.param((), (), False, id="the time ran out before a single round"),
    ],
)
def test_whether_promises_were_kept(
    rounds: tuple[Struck, ...], breaches: tuple[Breach, ...], kept: bool
) -> None:
    findings = Findings(
        acknowledged=9, again=0, repeats=0, refused=0, entries=4, unknown=0, breaches=breaches
    )
    outcome = Outcome(planned=100, rounds=rounds, findings=findings)
    assert outcome.kept is kept
    assert str(outcome).startswith(f"{len(rounds)} of 100 rounds, ")
