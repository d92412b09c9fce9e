"""The demo's account: what counts as delivered, as missing, as lost."""

import pytest

from bus.cli.demo.ledger import Ledger

TOPIC, GROUP = "a.b.v1", "de.agency.x.reader"


def account(acknowledged: list[str], delivered: list[str]) -> Ledger:
    ledger = Ledger({GROUP: TOPIC})
    ledger.acknowledge(TOPIC, acknowledged)
    ledger.deliver(GROUP, delivered)
    return ledger


@pytest.mark.parametrize(
    ("acknowledged", "delivered", "count", "lost"),
    [
        pytest.param([], [], 0, 0, id="nothing happened"),
        pytest.param(["1", "2"], ["1", "2"], 2, 0, id="all arrived"),
        pytest.param(["1", "2"], ["1"], 1, 1, id="one is missing"),
        pytest.param(["1", "2"], ["1", "1"], 1, 1, id="a repeat does not hide a loss"),
        pytest.param(["1"], ["1", "9"], 1, 0, id="an earlier run's event is not counted"),
    ],
)
def test_losses_are_found_by_id(
    acknowledged: list[str], delivered: list[str], count: int, lost: int
) -> None:
    summary = account(acknowledged, delivered).summary(1.234, settled=True)
    assert summary["delivered"] == {GROUP: count}
    assert summary["lost"] == lost


def test_what_was_not_waited_for_is_not_called_lost() -> None:
    summary = account(["1", "2"], ["1"]).summary(1.234, settled=False)
    assert summary["lost"] is None
    assert summary["ready_seconds"] == 1.23


def test_each_group_of_a_topic_must_get_every_event() -> None:
    ledger = Ledger({"de.agency.x.a": TOPIC, "de.agency.y.b": TOPIC})
    ledger.acknowledge(TOPIC, ["1", "2"])
    ledger.deliver("de.agency.x.a", ["1", "2"])
    assert ledger.missing == 2


def test_what_came_too_late_reached_its_subscriber_and_is_told_apart() -> None:
    ledger = account(["1", "2", "3"], ["1"])
    for _ in range(2):
        ledger.come_late(GROUP, ["1", "2"])
    summary = ledger.summary(1.234, settled=True)
    assert (summary["late"], summary["delivered"], summary["lost"]) == (1, {GROUP: 2}, 1)
