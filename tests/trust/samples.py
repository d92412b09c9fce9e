"""The event and the tombstone that vectors and forgeries are made of."""

from typing import Any

from bus.avro.codec import Codec
from bus.avro.schema import parse
from bus.avro.text import from_json
from bus.trust.leaves import KEY, MUNICIPALITY, SUBJECT
from bus.trust.projection import Projection
from tests.trust.events import Written, envelope, written

MUNICIPALITY_CODE = "092720140140"

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Vector",
    "namespace": "de.stadtbus.wire",
    "doc": "What the vectors are written with.",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["OLD", "NEW"]}},
        {"name": "either", "type": ["string", "long"]},
        {
            "name": "place",
            "type": {
                "type": "record",
                "name": "Place",
                "fields": [
                    {"name": "street", "type": "string"},
                    {"name": "lat", "type": "double"},
                ],
            },
        },
        {"name": "before", "type": ["null", "Place"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "sums", "type": {"type": "map", "values": "long"}},
        {"name": "code", "type": {"type": "fixed", "name": "Code", "size": 4}},
        {"name": "raw", "type": "bytes"},
        {"name": "share", "type": "float"},
        {"name": "sealed", "type": "boolean"},
    ],
}
DATA: dict[str, Any] = {
    "id": "1",
    "count": -3,
    "day": "2026-07-01",
    "note": None,
    "kind": "NEW",
    "either": 70000,
    "place": {"street": "Köhlerweg", "lat": 48.8},
    "before": {"street": "Altweg", "lat": 48.7},
    "tags": ["a", "b"],
    "sums": {"x": 1},
    "code": "AAECAw==",
    "raw": "/w==",
    "share": 0.5,
    "sealed": False,
}
PROJECTION = Projection(SCHEMA)


def event() -> Written:
    """Return the event that the vectors are about."""
    data = Codec(SCHEMA).encode(from_json(parse(SCHEMA), DATA))
    return written(PROJECTION, data, key=b"092720140140:1", headers=envelope("1"))


def tombstone() -> Written:
    """Return the tombstone that the vectors are about."""
    return written(
        None,
        None,
        key=b"092720140140:1",
        headers=envelope("1"),
        municipality=MUNICIPALITY_CODE.encode(),
    )


PARTS: dict[str, tuple[str, ...]] = {
    "some fields": ("id", "day", "note", "either", "before"),
    "with key and subject": (KEY, SUBJECT, "count", "kind", "place", "tags", "sums"),
    "all": (KEY, SUBJECT, *PROJECTION.names),
    "nothing": (),
}
TOMBSTONE_PARTS: dict[str, tuple[str, ...]] = {
    "municipality": (MUNICIPALITY,),
    "all": (KEY, SUBJECT, MUNICIPALITY),
}
