"""Many small values in little memory. Pure.

An object of Python's takes fifty bytes before it holds anything, and an entry in a dictionary as
much again. What a hundred thousand grants have each for themselves lies end to end instead.
"""

from array import array
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Interned(Generic[T]):
    """Values of which there are few, each kept once, by number from 0 on."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._numbers: dict[T, int] = {}

    def add(self, value: T) -> int:
        """Return a value's number; a new one if it is not there yet."""
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def find(self, value: T) -> int | None:
        """Return a value's number; None if it is not there."""
        return self._numbers.get(value)

    def __getitem__(self, number: int) -> T:
        return self._values[number]


class Pool:
    """Byte strings of which there are many, each kept once, by number from 0 on.

    They lie end to end; a table of numbers, open addressing with linear probing, finds them again.
    Python's hash of bytes is keyed, so nobody can make them collide from outside.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._table = array("I", bytes(4 * 64))  # a number plus one; 0: free

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._bytes[self._ends[number] : self._ends[number + 1]])

    def find(self, value: bytes) -> int | None:
        """Return a value's number; None if it is not there."""
        held = self._table[self._slot(value)]
        return held - 1 if held else None

    def add(self, value: bytes) -> int:
        """Return a value's number; a new one if it is not there yet."""
        slot = self._slot(value)
        if self._table[slot]:
            return self._table[slot] - 1
        self._bytes += value
        self._ends.append(len(self._bytes))
        self._table[slot] = len(self)
        if 3 * len(self) > 2 * len(self._table):
            self._grow()
        return len(self) - 1

    def _slot(self, value: bytes) -> int:
        """Return the place in the table where a value is, or would be."""
        mask = len(self._table) - 1
        slot = hash(value) & mask
        while (held := self._table[slot]) and self[held - 1] != value:
            slot = slot + 1 & mask
        return slot

    def _grow(self) -> None:
        self._table = array("I", bytes(8 * len(self._table)))
        mask = len(self._table) - 1
        for number in range(len(self)):
            slot = hash(self[number]) & mask
            while self._table[slot]:
                slot = slot + 1 & mask
            self._table[slot] = number + 1
