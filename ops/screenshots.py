"""Takes pictures of the page: a demo runs, and each page is taken once there is something to see.

    python -m ops.screenshots FOLDER

In German and English, 1280 and 320 pixels wide, light and dark, unless less is asked for. Pictures
are named `<page>-<language>-<width>-<scheme>.png`. Needs Debian's package chromium.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.cli.demo.scenes import Scenes
from bus.cli.demo.show import Options, misbehave, staged
from bus.cli.demo.stage import ADDRESSES, READINGS, TRAFFIC
from bus.cli.edge import leaving_in_order, run_program, say, unless_stopped
from bus.errors import BusUnavailable, InvalidSettings, nearest
from bus.telemetry import configure_logging

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

LANGUAGES = ("de", "en")
WIDTHS = (1280, 320)
SCHEMES = ("light", "dark")
HEIGHT = 800
TALLEST = 3000
"""Pixels of a page, at the most: lists go on for longer than anybody looks."""

PATIENCE = 150.0
"""Seconds until there is something to see on a page, at the most: the chart has minutes."""

LIVE = "#live-control[data-state=on]"


@dataclass(frozen=True, slots=True)
class Motif:
    """A page: its picture's name, its address, and selectors of what has to be there before."""

    name: str
    path: str
    seen: Sequence[str] = ()


MOTIFS = (
    Motif(
        "overview",
        "/",
        (LIVE, ".verdict.state-warning", "#chart-data tr:has([data-value]) ~ tr [data-value]"),
    ),
    Motif("topics", "/topics", (LIVE, f"tr:has-text('{TRAFFIC}') .state-good")),
    Motif("subscribers", "/subscribers", (LIVE, "tbody .state-warning", "tbody .state-good")),
    Motif("letters", "/letters", (LIVE, "tbody tr + tr")),
    Motif("letters-of-topic", f"/letters/of/dead.de.agency.statistik.{READINGS}", ("tbody tr",)),
    Motif("contracts", "/contracts", (LIVE, f"tr:has-text('{TRAFFIC}')")),
    Motif("contract", f"/contract?topic={READINGS}", (LIVE, "#publishers ~ .table")),
    Motif("members", "/members", (LIVE,)),
    Motif("grants", "/grants", (LIVE,)),
    Motif("grant-new", "/grants/new?topic=resident.address-changed.v1", ("fieldset",)),
    Motif("tail", "/tail", (LIVE, f"tr:has-text('{TRAFFIC}')")),
    Motif(
        "events",
        f"/tail/topic?topic={ADDRESSES}",
        ("#tail-control[data-state=on]", "#tail tbody tr:nth-child(20)"),
    ),
    Motif("traffic", "/traffic", (LIVE, ".map path.load-1")),
    Motif("disclosures", "/disclosures", ("form.filters",)),
    Motif("node", "/node", (LIVE,)),
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    folder: Annotated[Path, typer.Argument(help="where the pictures are put; made if needed")],
    page: Annotated[list[str] | None, typer.Option(help="only this page")] = None,
    language: Annotated[list[str] | None, typer.Option(help="only this language")] = None,
    width: Annotated[
        list[int] | None, typer.Option(min=320, max=1920, help="only this width, in pixels")
    ] = None,
) -> None:
    """Take a picture of every page of a demo."""
    with leaving_in_order():
        motifs = _chosen(page or [motif.name for motif in MOTIFS])
        chromium = _chromium()
        folder.mkdir(parents=True, exist_ok=True)
    looks = list(product(language or LANGUAGES, width or WIDTHS, SCHEMES))

    async def run(stop: asyncio.Event) -> None:
        await unless_stopped(take(folder, motifs, looks, chromium), stop)

    run_program(run)


def _chosen(names: Sequence[str]) -> list[Motif]:
    known = {motif.name: motif for motif in MOTIFS}
    for name in names:
        if name not in known:
            raise InvalidSettings(
                f'there is no page "{name}"', where="--page", remedy=nearest(name, list(known))
            )
    return [known[name] for name in names]


def _chromium() -> str:
    """Return where Chromium is.

    Raises:
        InvalidSettings: it is not installed.
    """
    found = shutil.which("chromium")
    if found is None:
        raise InvalidSettings(
            "Chromium is missing", where="PATH", remedy="install it: apt install chromium"
        )
    return found


async def take(
    folder: Path, motifs: Sequence[Motif], looks: Sequence[tuple[str, int, str]], chromium: str
) -> None:
    """Play the demo, and take its pages.

    Args:
        folder: takes the pictures.
        motifs: which pages.
        looks: language, width and colour scheme of each picture.
        chromium: the program.

    Raises:
        BusUnavailable: there was nothing to see in time.
        BusError: the demo cannot be played.
    """
    configure_logging(logging.ERROR)  # that somebody looks at events is a warning
    with tempfile.TemporaryDirectory(prefix="stadtbus-pictures-") as place:
        options = Options(
            seconds=None, rate=26, seed=1, reset=False, data=Path(place) / "demo", kafka=None,
            json=True,
        )  # fmt: skip
        async with staged(options) as (node, stage, _):
            await stage.start()
            await misbehave(node.settings, stage, Scenes(quiet=True))
            async with _browser(chromium) as browser:
                for language, width, scheme in looks:
                    context = await browser.new_context(
                        base_url=node.ready.portal,
                        locale=language,
                        viewport={"width": width, "height": HEIGHT},
                        color_scheme="dark" if scheme == "dark" else "light",
                    )
                    for motif in motifs:
                        for failure in stage.failures():
                            raise failure
                        file = folder / f"{motif.name}-{language}-{width}-{scheme}.png"
                        await _picture(await context.new_page(), motif, file)
                    await context.close()


@asynccontextmanager
async def _browser(chromium: str) -> AsyncIterator["Browser"]:
    from playwright.async_api import async_playwright

    # As root, as in containers, Chromium has no sandbox of its own.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


async def _picture(page: "Page", motif: Motif, file: Path) -> None:
    from playwright.async_api import TimeoutError as NothingToSee

    await page.goto(motif.path)
    for selector in motif.seen:
        try:
            await page.locator(selector).first.wait_for(state="attached", timeout=PATIENCE * 1000)
        except NothingToSee as error:
            raise BusUnavailable(
                f"there was nothing to see within {PATIENCE:g} s: {selector}", where=motif.path
            ) from error
    width, height = await page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    await page.screenshot(
        path=file,
        full_page=True,
        clip={"x": 0, "y": 0, "width": width, "height": min(height, TALLEST)},
        animations="disabled",
    )
    await page.close()
    say(str(file))


if __name__ == "__main__":
    app()
