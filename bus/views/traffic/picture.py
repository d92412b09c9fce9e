"""A map of segments coloured by load, and the table that says the same: what a template needs.

Pure: geometry and windows in, lines as SVG path data and rows out. The projection is
equirectangular around the middle of what is drawn, which is true to scale for a city.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import cos, floor, hypot, radians

from bus.views.traffic.geometry import Point, Segment
from bus.views.traffic.window import Window

WIDTH = 1000.0
MARGIN = 12.0
TOLERANCE = 0.6
"""How far a drawn line may lie from the true one, in units of the picture."""

HIGHEST = 3
"""The highest level; higher loads are drawn like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A segment as it is drawn: SVG path data, and its level (None: nothing to average)."""

    segment: str
    name: str
    path: str
    level: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A segment in the table.

    Attributes:
        segment, name: its id, and from where to where it leads; empty if the map does not have it.
        level: the average, rounded, `HIGHEST` at the most; None where there is no average.
        average: the mean of the codes in its newest quarter of an hour.
        observations: how many there are in it.
        unlisted: how many of them have code 16, which counts for no average.
        invalid: how many of them the source marked as not valid.
        start: when that quarter of an hour begins; None where nothing is known of the segment.
        age: seconds since it was observed last.
    """

    segment: str
    name: str
    level: int | None
    average: float | None
    observations: int
    unlisted: int
    invalid: int
    start: datetime | None
    age: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Lines in a box of this width and height, and a row for each segment, ordered by its id."""

    width: float
    height: float
    lines: tuple[Line, ...]
    rows: tuple[Row, ...]


def draw(segments: Sequence[Segment], windows: Iterable[Window], now: datetime) -> Picture:
    """Return the map and the table of each segment's newest quarter of an hour.

    Args:
        segments: one municipality's, as `load_segments` returns them.
        windows: of the same municipality, in any order.
        now: what ages are counted to. Where old data is replayed, the time of its newest
            observation.
    """
    newest: dict[str, Window] = {}
    for window in windows:
        known = newest.get(window.segment)
        if known is None or window.start > known.start:
            newest[window.segment] = window
    names = {segment.id: segment.name for segment in segments}
    rows = {id_: _row(id_, names.get(id_, ""), newest.get(id_), now) for id_ in {*names, *newest}}
    placed, height = _projected(segments)
    lines = tuple(
        Line(segment=segment.id, name=segment.name, path=path, level=rows[segment.id].level)
        for segment in segments
        if (path := "".join(_path(simplified(line)) for line in placed[segment.id]))
    )
    table = tuple(rows[id_] for id_ in sorted(rows))
    return Picture(width=WIDTH, height=height, lines=lines, rows=table)


def level_of(average: float | None) -> int | None:
    """Return the level that an average is drawn at: rounded half up, from 0 to `HIGHEST`."""
    return None if average is None else min(max(floor(average + 0.5), 0), HIGHEST)


def simplified(line: Sequence[Point], tolerance: float = TOLERANCE) -> list[Point]:
    """Return a line with fewer points, none of the others further from it than the tolerance.

    The algorithm of Douglas and Peucker (1973), without recursion.
    """
    if len(line) < 3:
        return list(line)
    kept, spans = {0, len(line) - 1}, [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        between = range(first + 1, last)
        if not between:
            continue
        far = max(between, key=lambda index: _distance(line[index], line[first], line[last]))
        if _distance(line[far], line[first], line[last]) > tolerance:
            kept.add(far)
            spans += [(first, far), (far, last)]
    return [line[index] for index in sorted(kept)]


def _distance(point: Point, start: Point, end: Point) -> float:
    """Return how far a point is from the line between two others."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = point[0] - start[0], point[1] - start[1]
    length = dx * dx + dy * dy
    along = min(max((px * dx + py * dy) / length, 0.0), 1.0) if length else 0.0
    return hypot(px - along * dx, py - along * dy)


def _projected(segments: Sequence[Segment]) -> tuple[Mapping[str, list[list[Point]]], float]:
    """Return each segment's lines on the page, and the page's height."""
    points = [point for segment in segments for line in segment.lines for point in line]
    if not points:
        return {segment.id: [] for segment in segments}, 2 * MARGIN
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    shrink = cos(radians((south + north) / 2))
    wide, high = (east - west) * shrink, north - south
    scale = (WIDTH - 2 * MARGIN) / (max(wide, high) or 1.0)

    def place(point: Point) -> Point:
        x = (point[0] - west) * shrink + (max(wide, high) - wide) / 2
        return MARGIN + x * scale, MARGIN + (north - point[1]) * scale

    lines = {segment.id: [list(map(place, line)) for line in segment.lines] for segment in segments}
    return lines, round(2 * MARGIN + high * scale, 1)


def _path(line: Sequence[Point]) -> str:
    """Return SVG path data: one move, then lines; nothing for a line without length."""
    if len(line) < 2:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line)


def _row(segment: str, name: str, window: Window | None, now: datetime) -> Row:
    average = window.average if window else None
    return Row(
        segment=segment,
        name=name,
        level=level_of(average),
        average=average,
        observations=len(window.codes) if window else 0,
        unlisted=window.unlisted if window else 0,
        invalid=window.invalid if window else 0,
        start=window.start if window else None,
        age=max((now - window.newest).total_seconds(), 0.0) if window else None,
    )
