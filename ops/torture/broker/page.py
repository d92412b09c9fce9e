"""The figures at the end of `docs/promises.md`."""

from collections.abc import Sequence
from pathlib import Path

from ops.torture.broker.campaign import BESIDE, PARTS, Result

PAGE = Path(__file__).parents[3] / "docs" / "promises.md"
FIGURES = "## Figures of the last campaign\n"


def with_figures(page: str, figures: str) -> str:
    """Return the page with other figures at its end."""
    front, _, _ = page.partition(FIGURES)
    return f"{front}{FIGURES}\n{figures}"


def figures(results: Sequence[Result], *, seed: int, day: str, version: str, machine: str) -> str:
    """Return the figures of a campaign.

    Args:
        results: of its parts.
        seed: what settled it.
        day: when it ran.
        version: of Stadtbus.
        machine: what it ran on.
    """
    by_name = {one.part.name: one.seconds for one in results}
    beside = by_name.pop(BESIDE.name, 0.0)  # runs all the time, while the others take turns
    minutes = max(beside, sum(by_name.values())) / 60
    lines = [
        f"Run on {day} in {minutes:.0f} minutes, version {version}, seed {seed}, {machine}.",
        "",
        "| part | tried | planned | seconds | promises broken | the last round |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one.part.name} | {one.tries:,} {one.part.what} | {one.part.planned:,} | "
            f"{one.seconds:,.0f} | {len(one.breaches)} | {one.more[-1] if one.more else ''} |"
            for one in results
        ),
    ]
    left = [
        part.name
        for part in (*PARTS, BESIDE)
        if part.name not in {one.part.name for one in results}
    ]
    if left:
        lines += ["", f"Left out: {', '.join(left)}."]
    return "\n".join(lines) + "\n"
