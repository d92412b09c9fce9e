"""What is a schema, and how large may it be on the bus."""

import json
from typing import Any

import pytest

from bus.avro.limits import admit
from bus.avro.schema import MAX_TEXT_BYTES, parse
from bus.errors import InvalidSchema


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def one(type_: Any, **more: Any) -> dict[str, Any]:
    return record({"name": "f", "type": type_, **more})


def nested(levels: int) -> Any:
    schema: Any = "int"
    for _ in range(levels - 1):
        schema = {"type": "array", "items": schema}
    return schema


def shared(levels: int) -> Any:
    """Two uses of the level below on each level: small to write, large to read."""
    inner: Any = "int"
    for level in range(levels):
        name = f"L{level}"
        again = inner if isinstance(inner, str) else inner["name"]
        inner = record({"name": "a", "type": inner}, {"name": "b", "type": again}, name=name)
    return inner


def decimal(precision: Any, scale: Any = 0, base: Any = "bytes") -> Any:
    more = base if isinstance(base, dict) else {"type": base}
    return {**more, "logicalType": "decimal", "precision": precision, "scale": scale}


FIXED = {"type": "fixed", "name": "F"}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(schema, id=name)
        for name, schema in {
            "every primitive": [
                *("null", "boolean", "int", "long", "float", "double", "bytes", "string")
            ],
            "32 levels": nested(32),
            "a type used twice": record(
                {"name": "a", "type": {**FIXED, "size": 4}}, {"name": "b", "type": "F"}
            ),
            "a name in its namespace": record(
                {"name": "a", "type": {**ENUM, "namespace": "de.x"}},
                {"name": "b", "type": "de.x.E"},
                {"name": "c", "type": {**ENUM, "name": "de.y.E"}},
                namespace="de",
            ),
            "the namespace of the record around it": record(
                {"name": "a", "type": ENUM}, {"name": "b", "type": "de.E"}, namespace="de"
            ),
            "38 digits": decimal(38, 38),
            "38 digits in 16 bytes": decimal(38, 2, {**FIXED, "size": 16}),
            "a decimal that is none": {
                "type": "string",
                "logicalType": "decimal",
                "precision": 99,
            },
            "an empty record at the root": record(),
            "an error": {**record(), "type": "error"},
            "an enum with a default": {**ENUM, "default": "B"},
            "further attributes": {**ENUM, "sensitivity": "none", "x": [1, {"y": None}]},
            "a default of null": one(["null", "int"], default=None),
            "defaults in a record": one(
                record({"name": "x", "type": "int", "default": 0}, name="I"), default={}
            ),
            "a whole number for a double": one("double", default=1),
            "bytes as text": one("bytes", default="\u00ff"),
        }.items()
    ],
)
def test_what_is_admitted(schema: Any) -> None:
    assert admit(schema).source == admit(json.dumps(schema)).source


@pytest.mark.parametrize(
    ("schema", "where", "what"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("no type", {}, "", '"type"'),
            ("a number", 1, "", "a type is text, a list or an object, not 1"),
            ("an unknown type", one("integer"), "f", 'no type "integer"'),
            ("a name of another namespace", one(["E"]), "f", 'no type "E"'),
            ("an object for a name", {"type": {"type": "int"}}, "", '"type" with a name'),
            ("no fields", {"type": "record", "name": "R"}, "", '"fields" is missing'),
            ("fields that are no list", {**record(), "fields": {}}, "", '"fields" is a list'),
            ("a field that is no object", record("f"), "", "a field is an object"),
            ("a field without a type", record({"name": "f"}), "f", '"type" is missing'),
            ("no items", one({"type": "array"}), "f", '"items" is missing'),
            ("no values", one({"type": "map"}), "f", '"values" is missing'),
            ("a bad name", record(name="a; import os"), "", "is no name"),
            ("a name that ends in a new line", record(name="R\n"), "", "is no name"),
            ("a name beyond ASCII", record(name="Straße"), "", "is no name"),
            ("a name that is no text", record() | {"name": 1}, "", "a name is text"),
            ("a bad namespace", record(namespace="de..x"), "", "is no name"),
            ("the name of a primitive", record(name="string"), "", "of a primitive type"),
            ("a bad field name", record({"name": "1", "type": "int"}), "", "is no name"),
            ("a bad alias", record(aliases=["-"]), "", "is no name"),
            ("aliases that are no list", record(aliases="a"), "", '"aliases" is a list'),
            ("a bad doc", record(doc=1), "", '"doc" is text'),
            ("a bad order", one("int", order="up"), "f", '"order" is'),
            (
                "a field twice",
                record({"name": "f", "type": "int"}, {"name": "f", "type": "int"}),
                "f",
                "is there twice",
            ),
            (
                "an alias that is another field",
                record(
                    {"name": "f", "type": "int", "aliases": ["g"]}, {"name": "g", "type": "int"}
                ),
                "f",
                'alias "g" is another field',
            ),
            ("a type twice", one([ENUM, {**ENUM}]), "f", "defined twice"),
            ("a symbol twice", {**ENUM, "symbols": ["A", "A"]}, "", '"A" is there twice'),
            ("a bad symbol", {**ENUM, "symbols": ["a-b"]}, "", "is no name"),
            ("symbols that are no list", {**ENUM, "symbols": "AB"}, "", '"symbols" is a list'),
            ("a default among no symbols", {**ENUM, "default": "C"}, "", "none of the symbols"),
            ("no size", FIXED, "", '"size" is missing'),
            ("a negative size", {**FIXED, "size": -1}, "", "a number of bytes"),
            ("a branch twice", one(["int", "int"]), "f", "branch int twice"),
            ("two arrays in a union", [nested(2), nested(2)], "", "branch array twice"),
            ("a union in a union", one([["int"]]), "f", "cannot be a branch"),
            ("an empty union", one([]), "f", "at least one branch"),
            ("33 levels", nested(33), "", "more than 32 levels"),
            ("33 levels below a field", one(nested(33)), "f", "more than 32 levels"),
            ("a name used for ever more", shared(12), "a.a", "more than 2000 types"),
            (
                "more than 2000 types",
                record(*({"name": f"f{n}", "type": "int"} for n in range(2000))),
                "",
                "more than 2000 types",
            ),
            ("a type in itself", one(["null", "R"]), "f", "the type R contains itself"),
            (
                "a type in itself by another",
                one({"type": "array", "items": one("R") | {"name": "I"}}),
                "f[].f",
                "the type R contains itself",
            ),
            ("an array of null", one({"type": "array", "items": "null"}), "f[]", "no bytes"),
            (
                "an array of records of nothing",
                one({"type": "array", "items": one("null") | {"name": "I"}}),
                "f[]",
                "no bytes",
            ),
            ("a fixed of nothing", [{"type": "array", "items": {**FIXED, "size": 0}}], "[]", "no"),
            ("39 digits", one(decimal(39)), "f", "1 to 38 digits"),
            ("no digits", one(decimal(0)), "f", "1 to 38 digits"),
            ("digits in words", one(decimal("many")), "f", "1 to 38 digits"),
            ("more scale than precision", one(decimal(4, 5)), "f", "scale is 0 to"),
            ("a negative scale", one(decimal(4, -1)), "f", "scale is 0 to"),
            (
                "a fixed too small for its digits",
                one(decimal(38, 0, {**FIXED, "size": 15})),
                "f",
                "15 bytes are too few",
            ),
            ("text for a number", one("int", default="x"), "f", 'default "x" is not of type int'),
            ("a boolean for a number", one("int", default=True), "f", "not of type int"),
            ("a number too large", one("int", default=2**31), "f", "not of type int"),
            ("a number for text", one("string", default=1), "f", "not of type string"),
            ("null for a boolean", one("boolean", default=None), "f", "not of type boolean"),
            ("text for a double", one("double", default="1"), "f", "not of type double"),
            ("characters for bytes", one("bytes", default="\u0100"), "f", "not of type bytes"),
            ("too few bytes", one({**FIXED, "size": 2}, default="a"), "f", "of 2 bytes"),
            ("an unknown symbol", one(ENUM, default="C"), "f", "not of type enum E"),
            ("no list", one(nested(2), default=0), "f", "not of type array of int"),
            ("wrong items", one(nested(2), default=["x"]), "f", "not of type array of int"),
            (
                "no map",
                one({"type": "map", "values": "int"}, default=[]),
                "f",
                "not of type map of int",
            ),
            ("no object", one(one("int") | {"name": "I"}, default=1), "f", "not of type record I"),
            ("a field left out", one(one("int") | {"name": "I"}, default={}), "f", "record I"),
            ("a later branch", one(["null", "int"], default=1), "f", "null, the first branch"),
            (
                "deep in an array",
                {"type": "array", "items": one(["int"], default=None)},
                "[].f",
                "the first branch",
            ),
        ]
    ],
)
def test_what_is_refused(schema: Any, where: str, what: str) -> None:
    with pytest.raises(InvalidSchema) as refusal:
        admit(schema)
    assert (refusal.value.where, what in refusal.value.what) == (where, True), refusal.value


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("nothing", "", "no JSON"),
            ("no JSON", "{", "no JSON"),
            ("two values", '"int" "int"', "no JSON"),
            ("NaN", '{"type": "int", "x": NaN}', "NaN is no number"),
            ("an attribute twice", '{"type": "int", "type": "long"}', '"type" is there twice'),
            ("half a surrogate pair", '"\ud800"', "half a surrogate"),
            ("an escaped half", '{"type": "int", "doc": "\\ud800"}', "half a surrogate"),
            ("a number beyond all bounds", '{"type": "int", "x": 1e999}', "no JSON"),
            ("too long", '"' + "x" * MAX_TEXT_BYTES + '"', "bytes"),
            ("too long in UTF-8", '"' + "ß" * (MAX_TEXT_BYTES // 2) + '"', "bytes"),
            ("brackets without end", "[" * 100_000, "levels deep"),
            ("objects without end", '{"type":' * 20_000, "levels deep"),
            ("a string without end", '"' + '\\"' * 100_000, "no JSON"),
            ("a number without end", "9" * 10_000, "no JSON"),
        ]
    ],
)
def test_texts_that_are_refused(text: str, what: str) -> None:
    with pytest.raises(InvalidSchema, match=what):
        parse(text)


def test_brackets_in_strings_do_not_count() -> None:
    assert parse(json.dumps({"type": "int", "doc": '"[\\' * 200})).source["type"] == "int"


def test_a_value_that_is_too_deep_is_refused_without_recursion() -> None:
    value: Any = "int"
    for _ in range(100_000):
        value = {"type": "array", "items": value}
    with pytest.raises(InvalidSchema, match="levels deep"):
        parse(value)
    while isinstance(value, dict):  # so that freeing it does not recurse either
        value = value["items"]


@pytest.mark.parametrize("value", [{"type": "int", "x": b""}, {"type": "int", "x": {1}}])
def test_a_value_that_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidSchema, match="no JSON"):
        parse(value)
