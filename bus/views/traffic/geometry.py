"""Street segments from GeoJSON (RFC 7946): their lines in longitude and latitude."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from bus.errors import InvalidInput

SHIPPED = "street_segments.geojson"
Point = tuple[float, float]
"""Longitude and latitude in degrees (WGS 84), or x and y on a page."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A street segment: its id, from where to where it leads, and its lines."""

    id: str
    name: str
    lines: tuple[tuple[Point, ...], ...]


def load_segments(path: Path | None = None) -> tuple[Segment, ...]:
    """Return the segments of a GeoJSON file, ordered by their ids; features of one id are joined.

    Args:
        path: the file; the shipped segments of Köln if None.

    Raises:
        InvalidInput: it cannot be read, or is no collection of lines with ``IDENTIFIER``.
    """
    where = str(path) if path else SHIPPED
    try:
        return read_segments(json.loads(path.read_bytes() if path else _shipped()), where)
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=where) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"is no JSON: {error}", where=where) from error


def read_segments(collection: Any, where: str) -> tuple[Segment, ...]:
    """Return the segments of a GeoJSON feature collection.

    Args:
        collection: parsed JSON.
        where: what an error names.

    Raises:
        InvalidInput: it is no collection of lines with ``IDENTIFIER``; the feature is named.
    """
    features = collection.get("features") if isinstance(collection, Mapping) else None
    if not isinstance(features, list):
        raise InvalidInput("is no GeoJSON feature collection", where=where)
    found: dict[str, Segment] = {}
    for number, feature in enumerate(features):
        try:
            new = _segment(feature)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            what = f"is no line with an IDENTIFIER: {error!r}"
            raise InvalidInput(what, where=f"{where}, feature {number}") from error
        if known := found.get(new.id):
            new = Segment(known.id, known.name, known.lines + new.lines)
        found[new.id] = new
    return tuple(found[id_] for id_ in sorted(found))


def _segment(feature: Mapping[str, Any]) -> Segment:
    said, geometry = feature["properties"], feature["geometry"]
    id_, name = said["IDENTIFIER"], said.get("NAME") or ""
    if not (isinstance(id_, str) and id_ and isinstance(name, str)):
        raise ValueError("IDENTIFIER and NAME are text")
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind not in {"LineString", "MultiLineString"}:
        raise ValueError(f"the geometry is a {kind}")
    lines: Iterable[Sequence[Any]] = [coordinates] if kind == "LineString" else coordinates
    return Segment(id_, name, tuple(tuple(map(_point, line)) for line in lines))


def _point(position: Sequence[float]) -> Point:
    longitude, latitude = float(position[0]), float(position[1])
    if not (isfinite(longitude) and abs(longitude) <= 180 and abs(latitude) <= 90):
        raise ValueError(f"{longitude}, {latitude} is no place on Earth")
    return longitude, latitude


def _shipped() -> bytes:
    return files("bus.views.traffic").joinpath("data", SHIPPED).read_bytes()
