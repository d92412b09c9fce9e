"""A restricted contract with a field of every type that a row can ask about, or cannot."""

from typing import Any

from bus.contracts import Contract
from tests.trust.grants.parties import TOPIC

STREET: dict[str, Any] = {"name": "street", "type": "string", "doc": "Its street."}
FLOOR: dict[str, Any] = {"name": "floor", "type": ["null", "int"], "default": None, "doc": "Floor."}
ADDRESS: dict[str, Any] = {
    "type": "record",
    "name": "Address",
    "doc": "Where.",
    "fields": [STREET, FLOOR],
}


def _field(name: str, type_: object) -> dict[str, Any]:
    return {"name": name, "type": type_, "doc": f"The {name}."}


FIELDS: dict[str, dict[str, Any]] = {
    one["name"]: one
    for one in [
        _field("person", "string"),
        _field("municipality", "string"),
        _field(
            "cause",
            {"type": "enum", "name": "Cause", "doc": "Why.", "symbols": ["UNKNOWN", "MOVE"]},
        ),
        _field("valid_from", {"type": "int", "logicalType": "date"}),
        _field("noted", {"type": "long", "logicalType": "timestamp-micros"}),
        _field("opens", {"type": "long", "logicalType": "local-timestamp-millis"}),
        _field("record", {"type": "string", "logicalType": "uuid"}),
        _field("sealed", "boolean"),
        _field("household", "int"),
        _field("share", "double"),
        _field("proof", ["null", "bytes"]),
        _field("former", {"type": "array", "items": "string"}),
        _field("old_address", ["null", ADDRESS]),
        _field("new_address", "Address"),
    ]
}
EXAMPLE: dict[str, Any] = {
    "person": "p",
    "municipality": "092720140140",
    "cause": "MOVE",
    "valid_from": "2026-07-01",
    "noted": "2026-07-01T06:00:00Z",
    "opens": "2026-07-01T06:00:00",
    "record": "01890a5d-ac96-774b-bcce-b302099a8057",
    "sealed": False,
    "household": 1,
    "share": 0.5,
    "proof": None,
    "former": [],
    "old_address": None,
    "new_address": {"street": "Am Rathaus", "floor": None},
}


def contract(*, without: str = "", access: str = "restricted", **types: object) -> Contract:
    """Return the contract.

    Args:
        without: a top-level field that it lacks.
        access: who may read it.
        types: other types of fields, by name.
    """
    fields = [
        {**one, "type": types.get(name, one["type"])}
        for name, one in FIELDS.items()
        if name != without
    ]
    word = "public" if access == "open" else "confidential"
    return Contract(
        topic=TOPIC,
        title={"de": "Anschrift geändert", "en": "Address changed"},
        description={"de": "Umzug.", "en": "A move."},
        owner="de.mun.092720140140",
        access=access,
        key=("person",),
        partitions=3,
        compatibility="FULL_TRANSITIVE",
        municipality="municipality",
        subject="person",
        retention="last-state",
        sensitivity={one["name"]: word for one in fields},
        versions=({"type": "record", "name": "Changed", "doc": "A move.", "fields": fields},),
        examples={"move": {name: one for name, one in EXAMPLE.items() if name != without}},
    )
