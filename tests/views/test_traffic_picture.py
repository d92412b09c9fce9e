"""The map and its table: geometry and windows in, what a template needs out."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import hypot
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import InvalidInput
from bus.views.traffic import Segment, Window, draw, load_segments
from bus.views.traffic.picture import level_of, simplified

NOW = datetime(2014, 1, 15, 8, tzinfo=UTC)
START = NOW - timedelta(minutes=30)
ARS = "053150000000"


def window(segment: str, *codes: int | None, start: datetime = START) -> Window:
    first = int(start.timestamp() * 1e6)
    seen = {first + 300_000_000 * n: code for n, code in enumerate(codes)}
    return Window(municipality=ARS, segment=segment, start=start, codes=seen)


def segment(id_: str, *line: tuple[float, float]) -> Segment:
    return Segment(id_, f"{id_} to somewhere", (line,))


def feature(**changes: Any) -> dict[str, Any]:
    said = {"IDENTIFIER": "A", "NAME": "x"}
    line = {"type": "LineString", "coordinates": [[6.9, 50.9], [7.0, 51.0]]}
    return {"type": "Feature", "properties": said, "geometry": line} | changes


def test_the_shipped_segments_are_the_ones_of_the_data() -> None:
    segments = load_segments()
    assert len(segments) == 108
    assert [one.id for one in segments] == sorted(one.id for one in segments)
    assert segments[21].name.startswith("Industriestraße - A1")
    picture = draw(segments, [], NOW)
    assert [line.segment for line in picture.lines] == [one.id for one in segments]
    assert all(re.fullmatch(r"(M[\d. ]+(L[\d. ]+)+)+", line.path) for line in picture.lines)
    points = sum(line.path.count("L") for line in picture.lines)
    assert points < 5459 / 2, "lines have fewer points than in the data"


def test_lines_keep_their_shape_inside_the_box() -> None:
    here = [segment("A", (6.9, 50.9), (7.0, 50.9)), segment("B", (6.9, 50.9), (6.9, 51.0))]
    picture = draw(here, [], NOW)
    numbers = [
        [tuple(map(float, pair.split())) for pair in re.split("[ML]", line.path)[1:]]
        for line in picture.lines
    ]
    (west, east), (south, north) = numbers
    assert all(
        0 <= x <= picture.width and 0 <= y <= picture.height for line in numbers for x, y in line
    )
    assert south == west, "both begin at the same corner"
    assert north[1] < south[1], "north is above"
    wide, high = east[0] - west[0], south[1] - north[1]
    assert wide / high == pytest.approx(0.63, abs=0.005), "a degree of longitude is cos(50.95°)"


def test_rows_say_what_the_map_shows_and_more() -> None:
    windows = [
        window("A", 0, 16, 1, None),
        window("A", 2, 2, start=START - timedelta(minutes=15)),
        window("Z", 16),
    ]
    picture = draw([segment("A", (6.9, 50.9), (7.0, 51.0)), segment("B")], windows, NOW)
    a, b, z = picture.rows
    assert (a.level, a.average, a.observations, a.unlisted, a.invalid) == (1, 0.5, 4, 1, 1)
    assert (a.start, a.age) == (START, 900.0)
    assert (b.level, b.average, b.observations, b.start, b.age) == (None, None, 0, None, None)
    assert (z.name, z.level, z.unlisted) == ("", None, 1), "known to the view, not to the map"
    assert [(line.segment, line.level) for line in picture.lines] == [("A", 1)]


def test_what_was_observed_after_now_has_no_negative_age() -> None:
    (row,) = draw([], [window("A", 0)], START - timedelta(hours=1)).rows
    assert row.age == 0.0


def test_nothing_to_draw() -> None:
    picture = draw([], [], NOW)
    assert (picture.lines, picture.rows) == ((), ())
    assert picture.height > 0


@pytest.mark.parametrize(
    ("average", "level"),
    [(None, None), (-3.0, 0), (0.0, 0), (0.49, 0), (0.5, 1), (1.5, 2), (2.5, 3), (99.0, 3)],
)
def test_levels(average: float | None, level: int | None) -> None:
    assert level_of(average) == level


COORDINATE = st.floats(0, 1000)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=40))
def test_a_simplified_line_is_no_further_from_any_point_than_it_may(
    line: list[tuple[float, float]],
) -> None:
    kept = simplified(line, 5.0)
    assert kept[:1] == line[:1]
    assert kept[-1:] == line[-1:]
    where = iter(line)
    assert all(point in where for point in kept), "in order, and none made up"
    if len(kept) > 1:
        spans = list(pairwise(kept))
        assert all(min(apart(point, *span) for span in spans) <= 5.0001 for point in line)


def apart(
    point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]
) -> float:
    """Return how far a point is from the closest of many points between two others."""
    (ax, ay), (bx, by) = start, end
    length = (bx - ax) ** 2 + (by - ay) ** 2
    along = ((point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)) / length if length else 0.0
    along = min(max(along, 0.0), 1.0)
    return hypot(point[0] - ax - along * (bx - ax), point[1] - ay - along * (by - ay))


def test_a_straight_line_has_two_points() -> None:
    assert simplified([(float(x), 2.0 * x) for x in range(1000)]) == [(0.0, 0.0), (999.0, 1998.0)]


def test_features_of_one_segment_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "map.geojson"
    several = {"type": "MultiLineString", "coordinates": [[[7, 51], [7, 52]], [[8, 51], [8, 52]]]}
    features = [feature(), feature(geometry=several)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (one,) = load_segments(path)
    assert [len(line) for line in one.lines] == [2, 2, 2]
    assert draw([one], [], NOW).lines[0].path.count("M") == 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("m.geojson", b"\x00", "no JSON", id="no JSON"),
        pytest.param("m.geojson", b"[" * 100_000, "no JSON", id="brackets without end"),
        pytest.param("m.geojson", b"[]", "feature collection", id="a list"),
    ],
)
def test_a_file_that_is_no_geometry(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        load_segments(path)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(1, id="a number"),
        pytest.param(feature(properties={"NAME": "x"}), id="no IDENTIFIER"),
        pytest.param(feature(properties={"IDENTIFIER": ""}), id="an empty one"),
        pytest.param(feature(geometry=None), id="no geometry"),
        pytest.param(feature(geometry={"type": "Point", "coordinates": [1, 2]}), id="a point"),
        pytest.param(
            feature(geometry={"type": "LineString", "coordinates": [[1]]}), id="half a place"
        ),
        pytest.param(
            feature(geometry={"type": "LineString", "coordinates": [[1, 91]]}), id="off the Earth"
        ),
        pytest.param(
            feature(geometry={"type": "LineString", "coordinates": [[float("nan"), 1]]}), id="nan"
        ),
    ],
)
def test_a_feature_that_is_no_segment_is_named(tmp_path: Path, bad: object) -> None:
    path = tmp_path / "map.geojson"
    path.write_text(json.dumps({"features": [feature(), bad]}))
    with pytest.raises(InvalidInput) as refused:
        load_segments(path)
    assert refused.value.where == f"{path}, feature 1"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        load_segments(tmp_path / "none.geojson")
