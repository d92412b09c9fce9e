"""Long lists in parts: filtered, sorted, a page at a time; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

ROWS = 50
"""Rows of a page."""

MOST = 1_000_000
LONGEST = 200

Row = TypeVar("Row")
Key = Callable[[Row], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody wants to see of a list.

    Args:
        sort: the column to sort by.
        down: largest first.
        find: what a name has to have in it; case does not count.
        page: which part, from 1.
        everything: what Stadtbus keeps for itself, too.
        also: what else a list is narrowed by: parameters of its address.
    """

    sort: str
    down: bool = False
    find: str = ""
    page: int = 1
    everything: bool = False
    also: tuple[tuple[str, str], ...] = ()

    def query(self, **changes: Any) -> str:
        """Return this choice, or one that differs in something, as the query of an address."""
        other = replace(self, **changes)
        given = {"sort": other.sort, "down": "1" if other.down else "0"}
        if other.find:
            given["find"] = other.find
        if other.everything:
            given["all"] = "1"
        if other.page > 1:
            given["page"] = str(other.page)
        return urlencode({**given, **dict(other.also)})

    def by(self, column: str, *, down: bool) -> str:
        """Return the query that sorts by a column: ``down`` first, the other way the next time."""
        turned = not self.down if column == self.sort else down
        return self.query(sort=column, down=turned, page=1)


def chosen(query: Mapping[str, str], columns: Iterable[str], usual: Choice) -> Choice:
    """Return what the query of an address asks for; what makes no sense is left out.

    Args:
        query: its parameters.
        columns: what can be sorted by.
        usual: what is shown to who asks for nothing.
    """
    sort = query.get("sort", "")
    known = sort in columns
    page = query.get("page", "1")
    number = int(page) if page.isascii() and page.isdecimal() and len(page) < 8 else 1
    return Choice(
        sort=sort if known else usual.sort,
        down=query.get("down") == "1" if known else usual.down,
        find=query.get("find", "").strip()[:LONGEST],
        page=min(max(number, 1), MOST),
        everything=query.get("all") == "1",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """A part of a list.

    Args:
        rows: the part.
        choice: what was asked for; the page is one that there is.
        total: rows that were found.
        pages: how many parts there are, at least one.
    """

    rows: Sequence[Row]
    choice: Choice
    total: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the first row, from 1; 0 if there is none."""
        return (self.choice.page - 1) * ROWS + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def listed(
    rows: Iterable[Row], choice: Choice, *, name: Callable[[Row], str], keys: Mapping[str, Key[Row]]
) -> Listing[Row]:
    """Return the part of a list that was chosen; rows without a value come last either way.

    Args:
        rows: all there are.
        choice: what to show.
        name: what a row is found by, and sorted by where all else is equal.
        keys: what a row is sorted by, by column.
    """
    sought = choice.find.casefold()
    found = [row for row in rows if not sought or sought in name(row).casefold()]
    found.sort(key=name)
    keyed = [(keys[choice.sort](row), row) for row in found]
    known = [one for one in keyed if one[0] is not None]
    known.sort(key=itemgetter(0), reverse=choice.down)
    ordered = [row for _, row in known] + [row for value, row in keyed if value is None]
    pages = max(-(-len(ordered) // ROWS), 1)
    page = min(choice.page, pages)
    return Listing(
        rows=ordered[(page - 1) * ROWS : page * ROWS],
        choice=replace(choice, page=page),
        total=len(ordered),
        pages=pages,
    )
