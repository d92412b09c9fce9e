"""The broker's campaign: bounded, judged, and written down."""

from pathlib import Path

import pytest

from ops.torture.broker import campaign as broker
from ops.torture.broker.campaign import BESIDE, MINUTES, PARTS, Part, Result, Tally, campaign
from ops.torture.broker.page import FIGURES, PAGE, figures, with_figures


def part(*tallies: Tally, planned: int = 3, minutes: float = MINUTES) -> Part:
    left = list(tallies)

    async def run(_: Path, __: int, ___: float) -> Tally:
        return left.pop(0)

    return Part(name="p", what="tries", planned=planned, minutes=minutes, run=run)


async def once(_: Path, seed: int, seconds: float) -> Tally:
    return Tally(tries=1, more=f"{seconds:.0f}")


ALWAYS = Part(name="beside", what="tries", planned=1, minutes=MINUTES, run=once)


def ran(monkeypatch: pytest.MonkeyPatch, *parts: Part, minutes: float = 1.0) -> list[Result]:
    monkeypatch.setattr(broker, "PARTS", parts)
    monkeypatch.setattr(broker, "BESIDE", ALWAYS)
    *results, beside = campaign(minutes, 7, lambda _: None)
    assert beside.part.name == ALWAYS.name
    assert beside.more[0].lstrip("-") == f"{minutes * 60:.0f}"
    return results


ONE = Tally(tries=1)


def test_the_parts_fill_an_hour() -> None:
    assert sum(one.minutes for one in PARTS) == MINUTES


def test_a_part_ends_once_enough_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = ran(monkeypatch, part(ONE, ONE, ONE, ONE))
    assert (result.tries, result.breaches) == (3, ())


def test_a_part_ends_once_its_time_is_over_and_has_tried_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (result,) = ran(monkeypatch, part(ONE, ONE, ONE), minutes=0.0)
    assert result.tries == 1


def test_what_a_part_leaves_of_its_time_is_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    async def run(_: Path, __: int, seconds: float) -> Tally:
        given.append(seconds)
        return ONE

    half = Part(name="p", what="tries", planned=1, minutes=MINUTES / 2, run=run)
    ran(monkeypatch, half, half, minutes=10.0)
    assert 299 < given[0] <= 300 < 590 < given[1] < 600


def test_a_part_ends_at_the_first_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ran(monkeypatch, part(Tally(tries=1, breaches=["lost"])), part(ONE, planned=1))
    assert first.breaches == ("lost",)
    assert second.tries == 1


def test_a_part_that_cannot_go_on_has_broken_a_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(_: Path, __: int, ___: float) -> Tally:
        raise TimeoutError("nothing goes on")

    stalled = Part(name="p", what="tries", planned=1, minutes=1, run=run)
    (result,) = ran(monkeypatch, stalled)
    assert len(result.breaches) == 1
    assert "nothing goes on" in result.breaches[0]


def test_what_came_of_it_is_written_down() -> None:
    result = Result(part=PARTS[0], tries=1200, seconds=60, more=("fine",), breaches=())
    written = figures([result], seed=7, day="2026-11-21", version="1", machine="2 cores")
    assert "| kill -9 | 1,200 kills | 1,000 | 60 | 0 | fine |" in written
    assert "Left out: power loss," in written
    assert f", {BESIDE.name}." in written


def test_new_figures_take_the_place_of_the_old_ones() -> None:
    once = with_figures(f"front\n\n{FIGURES}\nold\n", "new\n")
    assert once == with_figures(once, "new\n") == f"front\n\n{FIGURES}\nnew\n"


def test_the_page_has_figures_at_its_end() -> None:
    assert PAGE.read_text().count(FIGURES) == 1
