"""What a failover campaign says at its end, and whether that is success."""

import pytest

import ops.torture.__main__ as torture
from ops.torture.failover import BrokenOff, Outcome, Struck, Without
from ops.torture.judgement import Breach, Promise
from ops.torture.rounds import Fault, Round, Target
from ops.torture.scene import Findings

KILL = Round(fault=Fault.KILL, target=Target.LEADER)
ROUND = Struck(round=KILL, broker=1, without=Without(2, 3))
BROKEN = Breach(promise=Promise.LOST, place="topic", what="a 1")


STALL = BrokenOff(round=KILL, why="partition 1 took nothing", without=Without(90, 1))


def outcome(
    rounds: int, enough: int, *breaches: Breach, broken_off: BrokenOff | None = None
) -> Outcome:
    findings = Findings(
        acknowledged=9, again=0, repeats=0, refused=0, entries=4, unknown=0, breaches=breaches
    )
    return Outcome(
        planned=100,
        enough=enough,
        rounds=(ROUND,) * rounds,
        broken_off=broken_off,
        findings=findings,
    )


@pytest.mark.parametrize(
    ("found", "kept", "said"),
    [
        pytest.param(outcome(100, 100), True, "100 of 100 rounds; ", id="all rounds"),
        pytest.param(outcome(100, 100, BROKEN), False, "100 of 100 ", id="a promise broken"),
        pytest.param(
            outcome(99, 100),
            False,
            "the time was over after 99 of 100 rounds; ",
            id="one round too few",
        ),
        pytest.param(
            outcome(1, 1),
            True,
            "the time was over after 1 of 100 rounds; ",
            id="a shorter campaign was asked for",
        ),
        pytest.param(
            outcome(0, 1),
            False,
            "the time was over after 0 of 100 rounds; ",
            id="too short to try anything",
        ),
        pytest.param(
            outcome(50, 1, broken_off=STALL),
            False,
            "broken off after 50 of 100 rounds; at the longest without service 90.0 s, "
            "the journal 3.0 s; 9 events acknowledged, ",
            id="something stalled",
        ),
    ],
)
def test_whether_promises_were_kept(found: Outcome, kept: bool, said: str) -> None:
    assert found.kept is kept
    assert str(found).startswith(said)


def test_a_round_that_stalled_says_what_did() -> None:
    assert str(STALL) == (
        "kill leader: broken off: partition 1 took nothing; "
        "without service 90.0 s, the journal 1.0 s"
    )


@pytest.mark.parametrize(
    ("arguments", "enough"),
    [
        pytest.param([], 100, id="all rounds, if nothing is said"),
        pytest.param(["--minutes", "1"], 1, id="one round, if a time is given"),
    ],
)
@pytest.mark.parametrize("rounds", [0, 1, 99, 100])
def test_the_exit_code(
    arguments: list[str],
    enough: int,
    rounds: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a campaign of so many rounds, in which no promise was broken."""

    async def campaign(_: float, __: int, wanted: int) -> Outcome:
        return outcome(rounds, wanted)

    monkeypatch.setattr(torture, "_failover", campaign)
    monkeypatch.setattr("sys.argv", ["torture", "failover", *arguments])
    with pytest.raises(SystemExit) as left:
        torture.main()
    assert bool(left.value.code) == (rounds < enough)
    assert f"{rounds} of 100 rounds" in capsys.readouterr().out
