"""The canonical text is the one that Avro's Java library prints for the same schema."""

import json
from typing import Any

import pytest

from bus.avro.canonical import canonical
from bus.avro.schema import parse

ENUM = {"type": "enum", "name": "E", "symbols": ["A"]}


def record(*types: Any, **more: Any) -> dict[str, Any]:
    fields = [{"name": f"f{number}", "type": type_} for number, type_ in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields} | more


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("a primitive in an object", {"type": "string"}, '"string"'),
            (
                "a logical type stays",
                {"logicalType": "date", "type": "int"},
                '{"type":"int","logicalType":"date"}',
            ),
            (
                "attributes in order",
                {"fields": [], "doc": "ß", "x": 1, "aliases": ["S"], "name": "R", "type": "record"},
                '{"type":"record","name":"R","doc":"ß","fields":[],"x":1,"aliases":["S"]}',
            ),
            (
                "attributes of fields in order",
                record(
                    fields=[
                        {
                            "x": 1,
                            "aliases": ["g"],
                            "order": "ignore",
                            "default": None,
                            "doc": "d",
                            "type": {"type": "null"},
                            "name": "f",
                        }
                    ]
                ),
                (
                    '{"type":"record","name":"R","fields":[{"name":"f","type":"null","doc":"d",'
                    '"default":null,"order":"ignore","aliases":["g"],"x":1}]}'
                ),
            ),
            (
                "the usual order and empty aliases go",
                record(
                    fields=[{"name": "f", "type": "int", "order": "ascending", "aliases": []}],
                    aliases=[],
                ),
                '{"type":"record","name":"R","fields":[{"name":"f","type":"int"}]}',
            ),
            (
                "a full name is split",
                record(name="de.x.R"),
                '{"type":"record","name":"R","namespace":"de.x","fields":[]}',
            ),
            (
                "names are as short as they may be",
                record(ENUM | {"namespace": "de"}, "de.E", namespace="de"),
                (
                    '{"type":"record","name":"R","namespace":"de","fields":[{"name":"f0","type":'
                    '{"type":"enum","name":"E","symbols":["A"]}},{"name":"f1","type":"E"}]}'
                ),
            ),
            (
                "names of another namespace stay long",
                record(ENUM | {"namespace": "at"}, {"type": "at.E"}, namespace="de"),
                (
                    '{"type":"record","name":"R","namespace":"de","fields":[{"name":"f0","type":'
                    '{"type":"enum","name":"E","namespace":"at","symbols":["A"]}},'
                    '{"name":"f1","type":"at.E"}]}'
                ),
            ),
            (
                "leaving a namespace is said",
                record(ENUM | {"namespace": ""}, namespace="de"),
                (
                    '{"type":"record","name":"R","namespace":"de","fields":[{"name":"f0","type":'
                    '{"type":"enum","name":"E","namespace":"","symbols":["A"]}}]}'
                ),
            ),
            (
                "arrays, maps, unions and fixed",
                [
                    {"items": {"type": "int"}, "type": "array"},
                    {"values": "int", "type": "map", "x": 1},
                    {"size": 2, "name": "F", "type": "fixed"},
                    {"default": "A", **ENUM},
                ],
                (
                    '[{"type":"array","items":"int"},{"type":"map","values":"int","x":1},'
                    '{"type":"fixed","name":"F","size":2},'
                    '{"type":"enum","name":"E","symbols":["A"],"default":"A"}]'
                ),
            ),
        ]
    ],
)
def test_the_text(schema: Any, text: str) -> None:
    assert canonical(parse(json.dumps(schema, indent=2))) == text
    assert canonical(parse(text)) == text
