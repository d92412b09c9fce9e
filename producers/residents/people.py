"""Invented people: where they live, with whom, and what the register has announced of them."""

from dataclasses import dataclass
from random import Random
from uuid import UUID

from producers.residents.places import Address, Municipality, invented


@dataclass(slots=True)
class Person:
    """Somebody who does not exist.

    Args:
        pseudonym: what the register calls them to others.
        household: whom they live with, under another pseudonym.
        address: where.
        sealed: nobody may be told where.
        announced: the id of the last event about them; None before the first.
    """

    pseudonym: str
    household: str
    address: Address
    sealed: bool = False
    announced: str | None = None


def pseudonym(draw: Random) -> str:
    """Return a UUID that is derived from nothing (version 4)."""
    return str(UUID(int=draw.getrandbits(128), version=4))


def settled(draw: Random, municipality: Municipality, count: int) -> list[Person]:
    """Return so many people in households of one to four, who have lived there all along."""
    people: list[Person] = []
    while len(people) < count:
        household, address = pseudonym(draw), invented(draw, municipality)
        size = min(draw.randint(1, 4), count - len(people))
        people += [Person(pseudonym(draw), household, address) for _ in range(size)]
    return people
