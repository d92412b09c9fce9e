"""The canary flies through the whole path, and says when it does not come back."""

import logging

import pytest

from bus.admin import Admin
from bus.errors import BusUnavailable
from bus.kafka import Fetched, Producer
from bus.settings import KafkaSettings
from bus.telemetry import Telemetry
from bus.watch import canary as module
from bus.watch.canary import LATE, LOST, TOPIC, Canary, Flock
from tests.clock import Clock
from tests.engine import Switch, on_embedded
from tests.waiting import until

GROUP = "_stadtbus.canary.test.1"


def counted(telemetry: Telemetry) -> dict[str, float]:
    """Return what is counted of canary events."""
    names = {
        "sent": "sent_total",
        "unacknowledged": "unacknowledged_total",
        "late": "late_total",
        "lost": "lost_total",
        "arrived": "roundtrip_seconds_count",
    }
    value = telemetry.registry.get_sample_value
    return {word: value(f"stadtbus_canary_{name}") or 0.0 for word, name in names.items()}


def back(flock: Flock, key: bytes | None, value: bytes | None) -> None:
    flock.arrive(Fetched(TOPIC, 0, 0, 0, key, value, ()))


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.1, {"arrived": 1, "late": 0, "lost": 0}, id="in time"),
        pytest.param(LATE, {"arrived": 1, "late": 0, "lost": 0}, id="just in time"),
        pytest.param(LATE + 1, {"arrived": 1, "late": 1, "lost": 0}, id="late"),
        pytest.param(LOST + 1, {"arrived": 0, "late": 0, "lost": 1}, id="given up before"),
    ],
)
def test_an_event_is_counted_once(
    telemetry: Telemetry, seconds: float, expected: dict[str, float], acknowledged: bool
) -> None:
    now = 100.0
    flock = Flock(telemetry, lambda: now)
    sent = flock.send()
    if acknowledged:
        flock.acknowledged(sent)
    else:
        flock.unacknowledged()
        expected = {**expected, "lost": 0}  # it was never certain that the engine has it
    now += seconds
    flock.expire()
    for _ in range(2):
        back(flock, sent.key, sent.value)
    now += LOST + 1
    flock.expire()
    taken = {"sent": float(acknowledged), "unacknowledged": float(not acknowledged)}
    assert counted(telemetry) == {**taken, **expected}
    assert len(flock) == 0


def test_it_says_for_how_long_it_has_heard_nothing(telemetry: Telemetry, clock: Clock) -> None:
    flock = Flock(telemetry, clock)
    assert flock.silence is None
    sent = flock.send()
    clock.now += 20.0
    flock.send()
    assert flock.silence == 20.0
    back(flock, sent.key, sent.value)
    clock.now += 3.0
    assert flock.silence == 3.0


def test_events_of_other_nodes_are_theirs(telemetry: Telemetry) -> None:
    flock, other = Flock(telemetry), Flock(Telemetry())
    sent, foreign = flock.send(), other.send()
    back(flock, foreign.key, foreign.value)
    back(flock, sent.key, None)
    back(flock, None, sent.value)
    assert counted(telemetry)["arrived"] == 0
    assert len(flock) == 1


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.05)
    monkeypatch.setattr(module, "AGAIN", 0.05)
    monkeypatch.setattr(module, "COMMITTED", 0.1)


async def test_it_flies_on_both_engines(
    bare: KafkaSettings, telemetry: Telemetry, quick: None
) -> None:
    canary = Canary(bare, telemetry, group=GROUP)
    await canary.start()
    await until(lambda: counted(telemetry)["arrived"] >= 3)
    async with Admin(bare) as admin:

        async def committed() -> bool:
            return bool((await admin.group_offsets(GROUP)).get((TOPIC, 0)))

        await until(committed)
        await canary.stop()
        assert (await admin.describe_group(GROUP)).members == ()
    seen = counted(telemetry)
    assert (seen["late"], seen["lost"]) == (0, 0)
    assert seen["sent"] - seen["arrived"] <= 2


async def test_two_nodes_measure_their_own(
    bare: KafkaSettings, telemetry: Telemetry, quick: None
) -> None:
    other = Telemetry()
    flying = [
        Canary(bare, telemetry, group=GROUP),
        Canary(bare, other, group=f"{GROUP}.other"),
    ]
    for one in flying:
        await one.start()
    await until(lambda: all(counted(t)["arrived"] >= 3 for t in (telemetry, other)))
    for one in flying:
        await one.stop()
    assert all(counted(t)["arrived"] <= counted(t)["sent"] for t in (telemetry, other))


async def test_a_bus_that_is_down_is_said_once_and_waited_for(
    telemetry: Telemetry, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bus.watch")
    tried = 0

    class Nobody(Canary):
        async def _session(self) -> None:
            nonlocal tried
            tried += 1
            await super()._session()

    canary = Nobody(KafkaSettings(bootstrap="127.0.0.1:1"), telemetry, group=GROUP)
    await canary.start()
    await until(lambda: tried >= 3)
    await canary.stop()
    assert len([r for r in caplog.records if "canary" in r.getMessage()]) == 1
    assert set(counted(telemetry).values()) == {0}


async def test_each_reason_is_said_once(
    telemetry: Telemetry, quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bus.watch")
    reasons = ["away", "away", "not let in", "away", "not let in"]
    left = list(reasons)

    class Hindered(Canary):
        async def _session(self) -> None:
            raise BusUnavailable(left.pop(0) if left else reasons[0], where="here")

    canary = Hindered(KafkaSettings(bootstrap="127.0.0.1:1"), telemetry, group=GROUP)
    await canary.start()
    await until(lambda: not left)
    await canary.stop()
    said = [record.getMessage() for record in caplog.records]
    assert [sum(reason in line for line in said) for reason in ("away", "not let in")] == [1, 1]


@on_embedded
async def test_it_flies_again_once_the_bus_is_back(
    bare: KafkaSettings, telemetry: Telemetry, quick: None, switch: Switch
) -> None:
    canary = Canary(bare, telemetry, group=GROUP)
    await canary.start()
    await until(lambda: counted(telemetry)["arrived"] >= 2)
    await switch.off()
    before = counted(telemetry)["arrived"]
    await switch.on()
    await until(lambda: counted(telemetry)["arrived"] >= before + 3)
    await canary.stop()
    assert counted(telemetry)["lost"] == 0


@on_embedded
async def test_what_the_engine_does_not_take_is_neither_sent_nor_lost(
    bare: KafkaSettings,
    telemetry: Telemetry,
    quick: None,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def append(*_: object, **__: object) -> int:
        raise BusUnavailable("nobody takes it", where="here")

    monkeypatch.setattr(Producer, "append", append)
    monkeypatch.setattr(module, "LOST", 0.1)
    canary = Canary(bare, telemetry, group=GROUP)
    await canary.start()
    await until(lambda: counted(telemetry)["unacknowledged"] >= 5)  # the first is long gone
    await canary.stop()
    seen = counted(telemetry)
    assert (seen["sent"], seen["arrived"], seen["lost"]) == (0, 0, 0)
