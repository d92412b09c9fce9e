"""What `stadtbus check` says, and how Nagios reads it."""

from dataclasses import replace

import pytest

from bus.watch import verdicts
from bus.watch.limits import Limits, Status
from bus.watch.survey import Subscription
from bus.watch.verdicts import Measure, Verdict
from tests.watch.bus import behind, surveyed

BOUNDS = {"t": {0: (0, 9)}}
NONE = Limits(None, None)


def judged(one: Subscription, limits: Limits = NONE, retention: float | None = 1000.0) -> Verdict:
    return verdicts.lag(surveyed(1.0, BOUNDS, [one], retention=retention), limits)


@pytest.mark.parametrize(
    ("one", "status", "words"),
    [
        pytest.param(behind(), Status.OK, "", id="nothing unread"),
        pytest.param(behind(seconds=99.0), Status.OK, "", id="late, and promised nothing"),
        pytest.param(behind(seconds=30.0, promise=30.0), Status.OK, "", id="just as promised"),
        pytest.param(
            behind(seconds=47.0, promise=30.0, records=4),
            Status.WARNING,
            "de.a.b on t: 47.0 s behind, promised 30 s, 4 events",
            id="later than promised",
        ),
        pytest.param(behind(seconds=501.0), Status.WARNING, "50% of the time", id="in danger"),
        pytest.param(behind(seconds=801.0), Status.CRITICAL, "80% of the time", id="nearly lost"),
        pytest.param(behind(lost=3), Status.CRITICAL, "3 events were deleted", id="lost"),
        pytest.param(behind(ahead=3), Status.CRITICAL, "3 behind the end", id="behind the end"),
        pytest.param(
            behind(seconds=None, positions={}, records=2),
            Status.WARNING,
            "never committed, 2 events",
            id="never committed",
        ),
        pytest.param(
            behind(seconds=None, positions={}),
            Status.OK,
            "",
            id="never committed, and nothing came",
        ),
        pytest.param(
            behind(seconds=None, records=2), Status.WARNING, "cannot be read", id="a damaged record"
        ),
    ],
)
def test_lag_against_what_was_promised(one: Subscription, status: Status, words: str) -> None:
    verdict = judged(one)
    assert verdict.status is status
    assert words in "".join(verdict.details)
    assert bool(verdict.details) == (status is not Status.OK)


def test_who_may_see_nothing_knows_nothing() -> None:
    nothing = surveyed(1.0, BOUNDS, [])
    hidden = verdicts.lag(nothing, NONE, user="watcher")
    assert hidden.status is Status.UNKNOWN
    assert "none that the user watcher may see" in hidden.text
    assert verdicts.lag(nothing, NONE).status is Status.OK, "nobody logs in: there is none"
    own = surveyed(1.0, BOUNDS, [behind("_stadtbus.canary.a", "_stadtbus.canary")])
    own = replace(own, topics={**own.topics, "_stadtbus.canary": own.topics["t"]})
    assert verdicts.lag(own, NONE, user="watcher").status is Status.OK, "it sees the canary's"


@pytest.mark.parametrize(
    ("seconds", "status"), [(9.0, Status.OK), (11.0, Status.WARNING), (61.0, Status.CRITICAL)]
)
def test_lag_against_limits_that_were_given(seconds: float, status: Status) -> None:
    one = behind(seconds=seconds, promise=1.0)
    assert judged(one, Limits(10.0, 60.0), retention=None).status is status


def test_the_bus_own_groups_are_nobody_s_lag() -> None:
    assert judged(behind("_stadtbus.canary.x", lost=3)).status is Status.OK


@pytest.mark.parametrize(
    ("free", "status"),
    [(16, Status.OK), (14, Status.WARNING), (4, Status.CRITICAL), (0, Status.CRITICAL)],
)
def test_disk(free: int, status: Status) -> None:
    assert verdicts.disk("/data", free, 100, Limits(15, 5)).status is status


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        (0.01, Status.OK),
        (1.5, Status.WARNING),
        (5.5, Status.CRITICAL),
        pytest.param(None, Status.CRITICAL, id="it did not come back"),
    ],
)
def test_canary(seconds: float | None, status: Status) -> None:
    assert verdicts.canary(seconds, 10.0, Limits(1.0, 5.0)).status is status


@pytest.mark.parametrize(
    ("leaderless", "lagging", "status"),
    [
        ([], [], Status.OK),
        ([], ["t-1"], Status.WARNING),
        (["t-0"], ["t-0", "t-1"], Status.CRITICAL),
    ],
)
def test_broker(leaderless: list[str], lagging: list[str], status: Status) -> None:
    verdict = verdicts.broker(3, leaderless, lagging)
    assert verdict.status is status
    assert len(verdict.details) == len(leaderless) + len(lagging)


def test_as_nagios_reads_it() -> None:
    verdict = Verdict(
        status=Status.WARNING,
        text="late",
        details=("WARNING: a", "WARNING: b", "WARNING: c"),
        measures=(
            Measure(name="g/t", value=47.25, unit="s", warn=30.0),
            Measure(name="free", value=3, critical=5, less_is_worse=True),
            Measure(name="left out", value=1),
        ),
    )
    assert verdicts.nagios("lag", verdict, most=2).splitlines() == [
        "STADTBUS LAG WARNING: late | 'g/t'=47.25s;30 'free'=3;;5:",
        "WARNING: a",
        "WARNING: b",
        "and 1 more",
    ]


def test_a_group_s_name_forges_nothing() -> None:
    evil = "x|y='1\nSTADTBUS LAG OK\x1b[2J"
    shown = verdicts.nagios("lag", judged(behind(evil, lost=1)))
    first, second = shown.splitlines()
    assert first.count("|") == 1
    assert "\x1b" not in shown
    assert "STADTBUS LAG OK" in second, "as a part of a name, within a line"


@pytest.mark.parametrize(
    ("missing", "surplus", "without", "status", "words"),
    [
        pytest.param((), (), (), Status.OK, [], id="as the journal says"),
        pytest.param((), (), ("de.a.b.c",), Status.OK, ["de.a.b.c has no password"], id="login"),
        pytest.param(("x",), (), (), Status.CRITICAL, ["CRITICAL: missing: x"], id="missing"),
        pytest.param((), ("x",), (), Status.CRITICAL, ["CRITICAL: too much: x"], id="too much"),
    ],
)
def test_rights_against_the_journal(
    missing: tuple[str, ...],
    surplus: tuple[str, ...],
    without: tuple[str, ...],
    status: Status,
    words: list[str],
) -> None:
    verdict = verdicts.rights(missing, surplus, without)
    assert verdict.status is status
    assert list(verdict.details) == words
    counted = [measure.value for measure in verdict.measures]
    assert counted == [len(missing), len(surplus), len(without)]
