"""Real municipalities, and streets in them that nobody has ever built."""

import csv
from importlib.resources import files
from random import Random
from typing import NamedTuple

SHIPPED = "ilzer-land.csv"

STREETS = (
    "Beispielstraße",
    "Erfundener Weg",
    "Fabelgasse",
    "Luftschlossallee",
    "Musterweg",
    "Probeplatz",
    "Vorbildstraße",
    "Wolkenkuckucksheim",
)
RENAMED = ("Neue", "Obere", "Untere", "Alte", "Lange", "Kurze")
"""What comes before a street's name when it gets another one."""


class Municipality(NamedTuple):
    """A municipality of the Ilzer Land: its regional key, its name, one of its postcodes."""

    ars: str
    name: str
    postcode: str


class Address(NamedTuple):
    """An invented address."""

    municipality: Municipality
    street: str
    number: str
    suffix: str | None


def municipalities() -> dict[str, Municipality]:
    """Return the municipalities of the Ilzer Land by their regional keys."""
    text = (files("producers.residents") / "data" / SHIPPED).read_text(encoding="utf-8")
    rows = [Municipality(**row) for row in csv.DictReader(text.splitlines())]
    return {row.ars: row for row in rows}


def invented(draw: Random, municipality: Municipality) -> Address:
    """Return an address that nobody lives at."""
    suffix = draw.choice("abc") if draw.random() < 0.2 else None
    return Address(municipality, draw.choice(STREETS), str(draw.randint(1, 60)), suffix)
