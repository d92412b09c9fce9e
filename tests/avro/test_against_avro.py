"""Our verdicts are those of Apache Avro's own checker, on schemas that nobody thought of."""

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import avro.compatibility
import avro.schema
import pytest

from bus.avro.compatibility import can_read
from bus.avro.limits import admit
from bus.errors import InvalidSchema

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
CHANGES = [
    ('"int"', '"long"'),
    ('"long"', '"int"'),
    ('"string"', '"bytes"'),
    ('"S"', '"U"'),
    ('"f"', '"g"'),
    ('"name": "A"', '"name": "C"'),
    ('"default": 0', '"was": 0'),
    ('"null", ', ""),
    ('"null"', '"int"'),
]


class Schemas:
    """Makes schemas of few names and few symbols, so that two of them often meet."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._unused = ["A", "B", "C", "D"]

    def type(self, depth: int) -> Any:
        kinds = [self.array, self.map, self.union, self.enum, self.fixed, self.record]
        if depth == 0 or self._chance.random() < 0.4:
            return self._chance.choice(PRIMITIVES)
        return self._chance.choice(kinds)(depth - 1)

    def array(self, depth: int) -> Any:
        return {"type": "array", "items": self.type(depth)}

    def map(self, depth: int) -> Any:
        return {"type": "map", "values": self.type(depth)}

    def union(self, depth: int) -> Any:
        branches = [self.type(depth) for _ in range(self._chance.randint(1, 4))]
        return [branch for branch in branches if not isinstance(branch, list)]

    def enum(self, depth: int) -> Any:
        symbols = self._chance.sample(["S", "T", "U"], self._chance.randint(1, 3))
        default = {"default": symbols[0]} if self._chance.random() < 0.3 else {}
        return self._named("enum", symbols=symbols, **default)

    def fixed(self, depth: int) -> Any:
        return self._named("fixed", size=self._chance.choice([4, 8]))

    def record(self, depth: int) -> Any:
        names = self._chance.sample(["f", "g", "h"], self._chance.randint(0, 3))
        return self._named("record", fields=[self._field(name, depth) for name in names])

    def _field(self, name: str, depth: int) -> Any:
        field = {"name": name, "type": self.type(depth)}
        if field["type"] in ("int", "long") and self._chance.random() < 0.5:
            field["default"] = 0
        if self._chance.random() < 0.15:
            field["aliases"] = [self._chance.choice(["f", "g", "h"])]
        return field

    def _named(self, kind: str, **more: Any) -> Any:
        if not self._unused:
            return "int"
        name = self._unused.pop(self._chance.randrange(len(self._unused)))
        value = {"type": kind, "name": name, **more}
        # No namespaces: its checker forgets that of an alias.
        if self._chance.random() < 0.3:
            value["aliases"] = ["A"]
        return value


def pairs(seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield schemas and what became of them by some changes."""
    chance = random.Random(seed)
    while True:
        old = Schemas(chance).type(3)
        text = json.dumps(old)
        for before, after in chance.sample(CHANGES, 2):
            text = text.replace(before, after, 1)
        new = json.loads(text) if chance.random() < 0.8 else Schemas(chance).type(3)
        try:
            yield admit(new).source, admit(old).source
        except InvalidSchema:
            continue


@pytest.mark.parametrize("seed", range(4))
def test_apache_avro_comes_to_the_same(seed: int) -> None:
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    verdicts = set()
    for new, old in islice(pairs(seed), 250):
        reader, writer = (avro.schema.parse(json.dumps(schema)) for schema in (new, old))
        theirs = checker.get_compatibility(reader, writer)
        fits = theirs.compatibility == avro.compatibility.SchemaCompatibilityType.compatible
        assert can_read(new, old) is fits, (new, old)
        verdicts.add(fits)
    assert verdicts == {True, False}
